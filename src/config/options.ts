import type * as z from 'zod';
import { type OptionMeta, schema } from './schema.ts';

export interface Option extends OptionMeta {
  /** For example `limits.clientRate`. */
  path: string;
  env: string;
  default: unknown;
  /** How its text from the environment or a flag is read. */
  form: 'text' | 'number' | 'boolean' | 'list' | 'numbers';
}

/** Every option of the schema, in its order. */
export const options: readonly Option[] = collect(schema, '');

export function optionAt(path: string): Option | undefined {
  return options.find((option) => option.path === path);
}

function collect(group: z.ZodObject, prefix: string): Option[] {
  return Object.entries(group.shape).flatMap(([name, member]) => {
    const field = member as z.ZodPrefault;
    const path = `${prefix}${name}`;
    const inner = field.unwrap() as z.ZodType;
    if (inner.type === 'object') return collect(inner as z.ZodObject, `${path}.`);
    const meta = field.meta() as unknown as OptionMeta;
    const env = meta.env ?? `REDOUBT_${path.replaceAll('.', '_').replace(/[A-Z]/g, '_$&').toUpperCase()}`;
    return [{ ...meta, path, env, default: field.def.defaultValue, form: formOf(inner) }];
  });
}

function formOf(type: z.ZodType): Option['form'] {
  switch (type.type) {
    case 'nullable':
      return formOf((type as z.ZodNullable).unwrap() as z.ZodType);
    case 'pipe':
      return formOf((type as z.ZodPipe).in as z.ZodType);
    case 'array':
      return formOf((type as z.ZodArray).element as z.ZodType) === 'number' ? 'numbers' : 'list';
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    default:
      return 'text';
  }
}
