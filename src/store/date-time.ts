import { Type } from '@mikro-orm/core';
import { readDateTime } from '../../prisma-compat/date-time.ts';

/** A DateTime column: ms since the epoch in the program, integer ms when written, all three known forms when read. */
export class DateTime extends Type<number, number | string> {
  override convertToJSValue(value: number | string | null): number {
    return readDateTime(value) as number;
  }

  override getColumnType(): string {
    return 'DATETIME';
  }

  override compareAsType(): string {
    return 'number';
  }

  override get runtimeType(): string {
    return 'number';
  }
}
