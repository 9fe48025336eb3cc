/** A policy engine on a database of its own, with another program beside it that writes to the same file. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import * as assert from 'uvu/assert';
import { PolicyEngine } from '../../src/policy/engine.ts';
import { verifyChain } from '../../src/policy/verify.ts';
import { movableClock } from '../policy/rig.ts';
import { NOT_IN_ALL, RESERVED } from './policy-actions.ts';

const MAX_CLOCK_SKEW_S = 600;
const HOUR = 3_600_000;
/** Thousands of databases are opened here, and none has to outlive its test. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export class House {
  readonly clock = movableClock();
  /** An event is remembered for so long, ms: docs/POLICY.md, replays. */
  readonly window = 2 * MAX_CLOCK_SKEW_S * 1000 + 60_000;
  readonly askForStrangers: boolean;
  readonly #folder = mkdtempSync(join(MEMORY, 'redoubt-property-'));
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
    const opened = await PolicyEngine.open(
      {
        databasePath: this.#path,
        maxClockSkew: MAX_CLOCK_SKEW_S,
        auditRetentionDays: 36_500,
        kindsNotInAll: NOT_IN_ALL,
        askForStrangers: this.askForStrangers,
        reserved: [RESERVED],
        keysInKeystore: 0,
        allowEmptyDatabase: false,
      },
      {
        clock: this.clock,
        random: (n) => new Uint8Array(randomBytes(n)),
        log: () => {},
        bound: () => {},
        forgetClients: () => {},
        clientRelaysChanged: () => {},
        head: () => {},
      },
    );
    if (!opened.ok) throw new Error(opened.refusal);
    this.engine = opened.engine;
    // What is tested here is which answer is given, not how durable it is.
    this.engine.store.db.pragma('synchronous = OFF');
  }
}
