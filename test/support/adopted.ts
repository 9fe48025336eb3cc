/** The built daemon over what nsecbunkerd left, a copy of a fixture in a folder of its own, behind a relay outside of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { verifyEvent } from 'nostr-tools';
import { systemClock } from '../../src/actor/clock.ts';
import { EmbeddedRelay } from '../../src/relay/embedded.ts';
import type { SignedEvent } from './clients.ts';
import { RpcClient } from './rpc.ts';
import { until } from './until.ts';

const ENTRY = fileURLToPath(new URL('../../dist/redoubt.js', import.meta.url));
const FIXTURE = fileURLToPath(new URL('../fixtures/legacy-0.10.5', import.meta.url));

export const FIXTURE_DATABASE = join(FIXTURE, 'nsecbunker.db');

interface Named {
  pubkey: string;
  secret_key: string;
}

/** What is known of the fixture legacy-0.10.5. */
export interface Truth {
  passphrase: string;
  keys: { [name: string]: Named };
  clients: { [name: string]: Named };
  tokens: { id: number; key: string; client: string; token: string; redeemed: boolean }[];
  admin: { daemon_pubkey: string; admin_pubkey: string; admin_secret_key: string };
  expect: { [client: string]: { [what: string]: boolean | string } };
}

export const truth = JSON.parse(readFileSync(join(FIXTURE, 'truth.json'), 'utf8')) as Truth;

export class AdoptedDaemon {
  readonly data = mkdtempSync(join(tmpdir(), 'redoubt-adopted-'));
  readonly config = join(this.data, 'nsecbunker.json');
  readonly database = join(this.data, 'nsecbunker.db');
  readonly #entry: string;
  readonly #relay = new EmbeddedRelay({
    port: 0,
    clock: systemClock,
    random: Math.random,
    isOurs: () => false,
    verify: async (raw) => verifyEvent(JSON.parse(raw) as SignedEvent),
    software: { name: 'outside', version: '1' },
  });
  #child: ChildProcess | undefined;
  #output = '';
  #relayUrl: string | undefined;

  /** @param database a file to put in the place of the fixture's own */
  constructor(entry = ENTRY, database = FIXTURE_DATABASE) {
    this.#entry = entry;
    copyFileSync(join(FIXTURE, 'nsecbunker.json'), this.config);
    copyFileSync(database, this.database);
    for (const file of [this.config, this.database]) chmodSync(file, 0o600);
  }

  get output(): string {
    return this.#output;
  }

  get child(): ChildProcess {
    return this.#child!;
  }

  /** As an operator starts it over nsecbunkerd's files; resolves when requests are taken. */
  async start(env: Record<string, string> = {}, args: string[] = []): Promise<this> {
    this.#relayUrl ??= (await this.#relay.start()).url;
    this.#output = '';
    const child = spawn(process.execPath, [this.#entry, 'start', '--config', this.config, ...args], {
      env: { ...this.env(), ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child = child;
    child.stdout!.on('data', (chunk) => (this.#output += chunk));
    child.stderr!.on('data', (chunk) => (this.#output += chunk));
    await until('the daemon is ready', () => this.#output.includes('"ready"') || child.exitCode !== null, 30_000);
    if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}:\n${this.#output}`);
    // It says so before relays outside have confirmed what it subscribed to.
    await until('it hears the relay', async () => {
      const admin = await this.admin();
      const answered = await admin.call('ping', [], { timeoutMs: 1_000 }).then(
        () => true,
        () => false,
      );
      admin.close();
      return answered;
    });
    return this;
  }

  get relay(): string {
    return this.#relayUrl!;
  }

  env(): Record<string, string> {
    return {
      PATH: process.env.PATH ?? '',
      HOME: this.data,
      DATABASE_URL: `file:${this.database}`,
      REDOUBT_RELAYS: this.#relayUrl ?? '',
      REDOUBT_ADMIN_RELAYS: this.#relayUrl ?? '',
      REDOUBT_HTTP_LISTEN: '127.0.0.1:0',
      // What no rule answers is asked of the admins; these do not answer.
      REDOUBT_APPROVAL_TIMEOUT: '300',
      REDOUBT_KEYSTORE_LOG_N: '14',
      REDOUBT_LOG_FORMAT: 'json',
    };
  }

  /** A client of the fixture, which stored its key long ago and does not connect. */
  async client(name: string, key: string): Promise<RpcClient> {
    const secretKey = Buffer.from(truth.clients[name]!.secret_key, 'hex');
    return new RpcClient(new Uint8Array(secretKey), truth.keys[key]!.pubkey).open(this.relay);
  }

  async admin(): Promise<RpcClient> {
    const secretKey = Buffer.from(truth.admin.admin_secret_key, 'hex');
    return new RpcClient(new Uint8Array(secretKey), truth.admin.daemon_pubkey, 24134).open(this.relay);
  }

  /** Reads the database as another program would, while the daemon runs. */
  rows<T>(sql: string, ...values: unknown[]): T[] {
    const db = new Database(this.database, { timeout: 5_000 });
    try {
      return db.prepare(sql).all(...values) as T[];
    } finally {
      db.close();
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exited = once(child, 'exit');
    child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  }

  async remove(): Promise<void> {
    await this.stop('SIGKILL');
    await this.#relay.close();
    rmSync(this.data, { recursive: true, force: true });
  }
}
