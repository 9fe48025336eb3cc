/** A policy engine on a database of its own, with another program beside it that writes to the same file. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import * as assert from 'uvu/assert';
import type { PolicyEngine } from '../../src/policy/engine.ts';
import { verifyChain } from '../../src/policy/verify.ts';
import { movableClock } from '../policy/rig.ts';
import { memoryFolder } from '../support/memory-folder.ts';
import { MAX_CLOCK_SKEW_S, openEngine } from './open-engine.ts';
import { NOT_IN_ALL, RESERVED } from './policy-actions.ts';

const HOUR = 3_600_000;

export class House {
  readonly clock = movableClock();
  /** An event is remembered for so long, ms: docs/POLICY.md, replays. */
  readonly window = 2 * MAX_CLOCK_SKEW_S * 1000 + 60_000;
  readonly askForStrangers: boolean;
  readonly #folder = memoryFolder('property');
  readonly #path = join(this.#folder, 'nsecbunker.db');
  readonly #statements = new Map<string, Database.Statement>();
  #latest = this.clock.now();
  engine!: PolicyEngine;
  other!: Database.Database;

  private constructor(askForStrangers: boolean) {
    this.askForStrangers = askForStrangers;
  }

  static async open(askForStrangers: boolean): Promise<House> {
    const house = new House(askForStrangers);
    await house.#start();
    house.other = new Database(house.#path, { timeout: 0 });
    house.other.pragma('synchronous = OFF');
    return house;
  }

  async restart(): Promise<void> {
    await this.engine.close();
    await this.#start();
  }

  /** The wall clock was set, or was not. */
  setClock(ms: number): void {
    this.clock.wall += ms;
    this.#latest = Math.max(this.#latest, this.clock.wall);
  }

  /** Later than whatever was written: what came before is out of every memory. */
  startAnew(): void {
    this.setClock(this.#latest - this.clock.now());
    this.sleep();
  }

  sleep(): void {
    this.clock.advance(HOUR);
    this.setClock(0);
  }

  /** Reads or writes as the other program. @returns the id of what was inserted */
  run(text: string, ...values: unknown[]): number {
    return Number(this.#prepare(text).run(...values).lastInsertRowid);
  }

  get(text: string, ...values: unknown[]): unknown {
    return this.#prepare(text)
      .pluck()
      .get(...values);
  }

  async close(): Promise<void> {
    this.other.close();
    await this.engine.close();
    const report = verifyChain(this.#path);
    assert.ok(report.ok, report.wrong?.line);
    rmSync(this.#folder, { recursive: true });
  }

  #prepare(text: string): Database.Statement {
    const statement = this.#statements.get(text) ?? this.other.prepare(text);
    this.#statements.set(text, statement);
    return statement;
  }

  async #start(): Promise<void> {
    const { clock, askForStrangers } = this;
    const options = { kindsNotInAll: NOT_IN_ALL, reserved: [RESERVED], askForStrangers };
    this.engine = await openEngine(this.#path, clock, options);
  }
}
