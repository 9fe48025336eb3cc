/** The built daemon as a process of its own, in a data folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateSecretKey, getPublicKey } from 'nostr-tools';
import { npubEncode, nsecEncode } from 'nostr-tools/nip19';

const ENTRY = fileURLToPath(new URL('../../dist/redoubt.js', import.meta.url));
/** As the unit, the image and `npm start` have it: docs/INSTALL.md. */
const NODE_ARGS = ['--max-semi-space-size=4'];
const START_MS = 30_000;

/** What quickstart.json holds. */
export interface Quickstart {
  bunker_url: string;
  relay: string;
  health_url: string;
  daemon_pubkey: string;
  connection_string: string;
  admin_npub: string;
  admin_nsec_file: string;
  data: string;
}

export interface StartOptions {
  /** Program to run instead of the built command line. */
  entry?: string;
  env?: Record<string, string>;
  args?: string[];
  /** Members of the configuration file: of relays and addresses a quickstart takes none from the environment. */
  config?: object;
  /** The data folder, where it is not to be a new one; who made it removes it. */
  data?: string;
}

/** One installation: it may be started, ended and started again; ports stay what they were the first time. */
export class TestDaemon {
  readonly data: string;
  readonly #options: StartOptions;
  #child: ChildProcess | undefined;
  #ports: { relay: string; http: string } = { relay: '0', http: '0' };
  #output = '';
  quickstart!: Quickstart;

  constructor(options: StartOptions = {}) {
    this.#options = options;
    this.data = options.data ?? mkdtempSync(join(tmpdir(), 'redoubt-test-'));
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** The daemon's process, for tests that talk to it by more than its sockets. */
  get child(): ChildProcess {
    return this.#child!;
  }

  /** Everything it printed. */
  get output(): string {
    return this.#output;
  }

  /** Starts it and waits until it says that it is ready. `env`: for this start, besides that of all. */
  async start(env: Record<string, string> = {}): Promise<this> {
    const ready = join(this.data, 'quickstart.json');
    rmSync(ready, { force: true });
    if (this.#options.config !== undefined) this.#configure(this.#options.config);
    const args = [
      'start',
      '--quickstart',
      '--data',
      this.data,
      '--port',
      this.#ports.relay,
      '--http-port',
      this.#ports.http,
    ];
    const entry = this.#options.entry ?? ENTRY;
    const child = spawn(process.execPath, [...NODE_ARGS, entry, ...args, ...(this.#options.args ?? [])], {
      env: {
        PATH: process.env.PATH ?? '',
        HOME: this.data,
        REDOUBT_APPROVAL_TIMEOUT: '300',
        ...this.#options.env,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child = child;
    child.stdout!.on('data', (chunk) => (this.#output += chunk));
    child.stderr!.on('data', (chunk) => (this.#output += chunk));
    const until = Date.now() + START_MS;
    while (!existsSync(ready)) {
      const ended = child.exitCode ?? child.signalCode;
      if (ended !== null) throw new Error(`the daemon ended with ${ended}:\n${this.#output}`);
      if (Date.now() > until) throw new Error(`the daemon was not ready in time:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.quickstart = JSON.parse(readFileSync(ready, 'utf8')) as Quickstart;
    this.#ports = {
      relay: new URL(this.quickstart.relay).port,
      http: new URL(this.quickstart.health_url).port,
    };
    return this;
  }

  /** kill -9 */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM; the exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  /** Ends it if it runs, and removes its folder. */
  async remove(): Promise<void> {
    await this.#end('SIGKILL');
    if (this.#options.data !== undefined) return;
    rmSync(this.data, { recursive: true, force: true });
  }

  adminSecretKey(): string {
    return readFileSync(this.quickstart.admin_nsec_file, 'utf8').trim();
  }

  /** What a quickstart has made or would make, with these members. */
  #configure(members: object): void {
    const path = join(this.data, 'nsecbunker.json');
    const file = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : this.#newConfiguration();
    writeFileSync(path, JSON.stringify({ ...file, ...members }), { mode: 0o600 });
  }

  #newConfiguration() {
    const admin = generateSecretKey();
    writeFileSync(join(this.data, 'admin.nsec'), `${nsecEncode(admin)}\n`, { mode: 0o600 });
    const key = Buffer.from(generateSecretKey()).toString('hex');
    return { admin: { key, npubs: [npubEncode(getPublicKey(admin))] }, redoubt: { quickstart: true } };
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exited = once(child, 'exit');
    child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  }
}
