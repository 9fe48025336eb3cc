/** A policy actor behind real ports on a real file, for the tests of this folder. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { type Clock, systemClock } from '../../src/actor/clock.ts';
import { Link, type PortLike } from '../../src/actor/link.ts';
import type { Body, Tell } from '../../src/actor/protocol.ts';
import { startPolicyActor } from '../../src/policy/actor.ts';
import type {
  AdminToPolicy,
  ConnectRequest,
  DecideRequest,
  Decision,
  KeyToPolicy,
  LogLine,
  MainToPolicy,
  NewRule,
  PolicyOpenOptions,
  PolicyToAdmin,
  PolicyToMain,
} from '../../src/policy/protocol.ts';

export const hex = (name: string) => createHash('sha256').update(name).digest('hex');
/** Every request in an event and a body of its own, unless a test says otherwise. */
export const fresh = () => randomBytes(32).toString('hex');

export interface MovableClock extends Clock {
  wall: number;
  /** Moves both clocks. */
  advance(ms: number): void;
}

export function movableClock(wall = 1_780_000_000_000): MovableClock {
  let mono = 1000;
  return {
    wall,
    now() {
      return this.wall;
    },
    mono: () => mono,
    advance(ms) {
      this.wall += ms;
      mono += ms;
    },
  };
}

export class Rig {
  readonly folder: string;
  readonly path: string;
  readonly clock: Clock;
  readonly logs: LogLine[] = [];
  readonly bound: string[] = [];
  readonly heads: Body<PolicyToAdmin, 'head'>[] = [];
  forgotten = 0;
  relaysChanged = 0;
  main!: Link<MainToPolicy, PolicyToMain>;
  admin!: Link<AdminToPolicy, PolicyToAdmin>;
  readonly #keys = new Map<string, Link<KeyToPolicy, Record<never, never>>>();
  #ports: { close(): void }[] = [];

  constructor(clock: Clock = systemClock, folder = mkdtempSync(join(tmpdir(), 'redoubt-policy-'))) {
    this.clock = clock;
    this.folder = folder;
    this.path = join(this.folder, 'nsecbunker.db');
  }

  /** @throws when opening is refused. */
  static async open(options: Partial<PolicyOpenOptions> = {}, clock: Clock = systemClock): Promise<Rig> {
    const rig = new Rig(clock);
    const opened = await rig.start(options);
    if (!opened.ok) throw new Error(opened.refusal);
    return rig;
  }

  async start(options: Partial<PolicyOpenOptions> = {}, start?: (port: PortLike) => void) {
    const main = new MessageChannel();
    const run =
      start ?? ((port) => startPolicyActor(port, { clock: this.clock, random: (n) => new Uint8Array(randomBytes(n)) }));
    run(main.port1);
    this.#ports.push(main.port1, main.port2);
    this.main = new Link<MainToPolicy, PolicyToMain>(main.port2, {
      bound: ({ keyName, client }) => void this.bound.push(`${keyName} ${client}`),
      times: () => {},
      forgetClients: () => void this.forgotten++,
      clientRelaysChanged: () => void this.relaysChanged++,
      log: (line) => void this.logs.push(line),
    } satisfies { [K in keyof PolicyToMain]: PolicyToMain[K] extends Tell<infer B> ? (body: B) => void : never });
    const opened = await this.main.ask('open', {
      databasePath: this.path,
      maxClockSkew: 600,
      auditRetentionDays: 90,
      kindsNotInAll: [22242, 27235, 62],
      askForStrangers: null,
      reserved: [],
      keysInKeystore: 0,
      allowEmptyDatabase: false,
      ...options,
    });
    const admin = new MessageChannel();
    this.main.tell('attachAdmin', { port: admin.port1 }, [admin.port1]);
    this.admin = new Link<AdminToPolicy, PolicyToAdmin>(admin.port2, { head: (head) => void this.heads.push(head) });
    this.#ports.push(admin.port2);
    return opened;
  }

  /** A port of this key; `another`: a new one beside those that there are. `client`: who is expected on it. */
  key(keyName: string, another = false, client: string | null = null): Link<KeyToPolicy, Record<never, never>> {
    const held = another ? undefined : this.#keys.get(keyName);
    if (held !== undefined) return held;
    const { port1, port2 } = new MessageChannel();
    this.main.tell('attachKey', { keyName, port: port1, client }, [port1]);
    const link = new Link<KeyToPolicy, Record<never, never>>(port2, {});
    this.#ports.push(port2);
    this.#keys.set(keyName, link);
    return link;
  }

  /** A fresh request, with what the test wants of it. */
  asked(over: Partial<DecideRequest> = {}): DecideRequest {
    return {
      client: hex('client'),
      requestId: '1',
      envelope: fresh(),
      body: fresh(),
      expires: this.clock.mono() + 30_000,
      method: 'sign_event',
      kind: 1,
      eventId: fresh(),
      peer: null,
      recheck: false,
      // Nobody is to be asked, unless a test says otherwise.
      final: true,
      ...over,
    };
  }

  decide(over: Partial<DecideRequest> = {}, keyName = 'key'): Promise<Decision> {
    return this.key(keyName).ask('decide', this.asked(over));
  }

  connect(secret: string, over: Partial<ConnectRequest> = {}, keyName = 'key'): Promise<Decision> {
    const { method: _, kind: __, eventId: ___, peer: ____, recheck: _____, ...asked } = this.asked(over);
    return this.key(keyName).ask('connect', { ...asked, secret });
  }

  logout(over: Partial<ConnectRequest> = {}, keyName = 'key'): Promise<Decision> {
    const { client, requestId, envelope, body, expires } = this.asked(over);
    const again = over.again === undefined ? {} : { again: over.again };
    return this.key(keyName).ask('logout', { client, requestId, envelope, body, expires, ...again });
  }

  async makeKey(name = 'key'): Promise<void> {
    const made = await this.main.ask('createKey', { name, pubkey: hex(`pubkey of ${name}`) });
    if (!made.ok) throw new Error(made.refusal);
  }

  /** A policy with these rules; its id. */
  async policy(...rules: (Partial<NewRule> & { method: string })[]): Promise<number> {
    const full = rules.map((rule) => ({
      kind: null,
      maxUsageCount: null,
      maxUsagePerToken: null,
      expiresAt: null,
      ...rule,
    }));
    const made = await this.admin.ask('createPolicy', { name: 'p', description: null, expiresAt: null, rules: full });
    if (!made.ok) throw new Error(made.refusal);
    return made.value.id;
  }

  /** A token of a policy. */
  async token(
    policyId: number,
    over: { keyName?: string; expiresAt?: number | null } = {},
  ): Promise<{ id: number; secret: string }> {
    const wanted = { keyName: 'key', clientName: 'c', expiresAt: null, createdBy: hex('admin'), ...over };
    const made = await this.admin.ask('createToken', { ...wanted, policyId });
    if (!made.ok) throw new Error(made.refusal);
    return made.value;
  }

  /** Binds a client under these rules. */
  async pair(
    client: string,
    ...rules: (Partial<NewRule> & { method: string })[]
  ): Promise<{ id: number; secret: string }> {
    const token = await this.token(await this.policy(...rules));
    const answer = await this.connect(token.secret, { client });
    if (!answer.ok) throw new Error(answer.refusal);
    return token;
  }

  /** Another program's connection to the file; closed by the caller. */
  other(): Database.Database {
    return new Database(this.path, { timeout: 0 });
  }

  /** Reads or writes as another program does. */
  sql<T = Record<string, unknown>>(text: string, ...values: unknown[]): T[] {
    const db = this.other();
    try {
      const statement = db.prepare(text);
      if (statement.reader) return statement.all(...values) as T[];
      statement.run(...values);
      return [];
    } finally {
      db.close();
    }
  }

  /** Audit rows as they are stored, params read. */
  audit(): {
    id: number;
    type: string;
    method: string;
    params: { [name: string]: unknown };
    keyUserId: number | null;
  }[] {
    return this.sql<{ id: number; type: string; method: string; params: string; keyUserId: number | null }>(
      'SELECT id, type, method, params, keyUserId FROM "Log" ORDER BY id',
    ).map((row) => ({ ...row, params: JSON.parse(row.params) }));
  }

  /** Closes the database, keeps the file. */
  async stop(): Promise<void> {
    await this.main.ask('close', null);
    // What was told on the other ports before is delivered.
    await new Promise((resolve) => setTimeout(resolve, 5));
    this.abandon();
  }

  /** Lets go of the ports, as if the thread were gone. */
  abandon(): void {
    for (const link of this.#keys.values()) link.close();
    this.#keys.clear();
    for (const port of this.#ports) port.close();
    this.#ports = [];
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The refusal, or `ok`. */
export function said(decision: Decision): string {
  return decision.ok ? 'ok' : decision.refusal;
}
