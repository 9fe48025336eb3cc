/** The daemon in its production form: a configuration file, and no quickstart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateSecretKey, getPublicKey, nip19 } from 'nostr-tools';
import { openAdmin, type RpcClient } from './rpc.ts';
import { until } from './until.ts';

const ENTRY = fileURLToPath(new URL('../../dist/redoubt.js', import.meta.url));

/** One line of its log. */
export type LogEntry = { level: string; msg: string; [field: string]: unknown };

export class ProductionDaemon {
  readonly data = mkdtempSync(join(tmpdir(), 'redoubt-production-'));
  readonly config = join(this.data, 'nsecbunker.json');
  readonly key = generateSecretKey();
  readonly admin = generateSecretKey();
  child!: ChildProcess;
  output = '';
  /** `http://127.0.0.1:PORT` of health and metrics. */
  http = '';

  /** Writes the configuration; what is given is over what every installation here has. */
  write(file: { [property: string]: unknown } = {}): void {
    const { redoubt = {}, ...rest } = file as { redoubt?: { [option: string]: unknown } };
    const base = {
      admin: { key: Buffer.from(this.key).toString('hex'), npubs: [nip19.npubEncode(getPublicKey(this.admin))] },
      nostr: { relays: [] },
      redoubt: { embeddedRelay: { enabled: true, listen: '127.0.0.1:0' }, http: { listen: '127.0.0.1:0' }, ...redoubt },
      ...rest,
    };
    writeFileSync(this.config, JSON.stringify(base), { mode: 0o600 });
  }

  /** Starts it and waits until it takes requests. */
  async start(env: { [name: string]: string } = {}): Promise<this> {
    const printed = this.output.length;
    this.child = spawn(process.execPath, [ENTRY, 'start', '--config', this.config], {
      env: { PATH: process.env.PATH ?? '', REDOUBT_KEYSTORE_LOG_N: '14', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on('data', (chunk) => {
        this.output += chunk;
      });
    }
    await until('it is ready', () => {
      if (this.child.exitCode !== null) throw new Error(`it ended with ${this.child.exitCode}:\n${this.output}`);
      return this.output.slice(printed).includes('"msg":"ready"');
    });
    this.http = String(this.lines().findLast(({ msg }) => msg === 'ready')!.http);
    return this;
  }

  lines(): LogEntry[] {
    return this.output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogEntry);
  }

  /** SIGHUP; the line that says what became of it. */
  async reload(): Promise<LogEntry> {
    const of = () => this.lines().filter(({ msg }) => msg.startsWith('reload:'));
    const before = of().length;
    this.child.kill('SIGHUP');
    await until('it has reloaded', () => of().length > before);
    return of().at(-1)!;
  }

  /** Where it is reached, as it advertises it. */
  connection(): { pubkey: string; relay: string } {
    const text = readFileSync(join(this.data, 'connection.txt'), 'utf8');
    return { pubkey: getPublicKey(this.key), relay: decodeURIComponent(text.trim().split('@')[1]!).split(',')[0]! };
  }

  openAdmin(secretKey: Uint8Array = this.admin): Promise<RpcClient> {
    const { pubkey, relay } = this.connection();
    return openAdmin(nip19.nsecEncode(secretKey), pubkey, relay);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode !== null) return this.child.exitCode;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    return ((await exited) as [number | null])[0];
  }

  async remove(): Promise<void> {
    await this.stop('SIGKILL');
    rmSync(this.data, { recursive: true, force: true });
  }
}
