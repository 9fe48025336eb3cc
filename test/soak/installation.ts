/** What the soak runs on: the built daemon between two relays, more keys than may be active at once, clients of each. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateSecretKey, nip19 } from 'nostr-tools';
import { keyNeedle, type Needle, textNeedle } from '../probe/scan.ts';
import { TestDaemon } from '../support/daemon.ts';
import { OutsideRelay } from '../support/outside-relay.ts';
import { createPolicy, issueToken } from '../support/provision.ts';
import { openAdmin, parseBunkerUrl } from '../support/rpc.ts';
import { until } from '../support/until.ts';
import { Caller, type Surroundings } from './caller.ts';
import { FlakyRelay } from './flaky-relay.ts';
import type { Seeded } from './seeded.ts';

export const KEYS = ['one', 'two', 'three', 'four'];
export const SWING = 'swing';
const ACTIVE_KEYS = 3;
const CLIENTS_PER_KEY = 3;
export const KINDS = [0, 1, 3, 6, 7, 1111, 9734, 30023];
export const USES = 40;
/** Shorter than clients wait (caller.ts), and longer than a key takes to come back after a crash. */
const DEADLINE_MS = 6_000;
const FAULTY = fileURLToPath(new URL('../fault/faulty-daemon.ts', import.meta.url));

export interface Client {
  key: string;
  caller: Caller;
}

export class Installation {
  readonly outside = new OutsideRelay();
  /** Before the one outside. */
  readonly flaky: FlakyRelay;
  readonly daemon: TestDaemon;
  /** Private keys, the passphrase, and what clients have encrypted: it must be nowhere. */
  readonly canaries: Needle[] = [];
  readonly plaintext = `the canary between the two of us ${crypto.randomUUID()}`;
  admin!: Caller;
  readonly clients: Client[] = [];
  /** One for each key, under a policy that allows so many uses. */
  readonly limited: (Client & { policy: number })[] = [];
  readonly pubkeys = new Map<string, string>();
  policy = 0;
  passphrase = '';
  /** The program that is started: the built one, or one whose key threads fail when they are told to. */
  readonly #options: { entry?: string; config?: object; env: Record<string, string> };

  private constructor(relayUrl: string, random: Seeded) {
    this.flaky = new FlakyRelay(relayUrl, random);
    this.#options = {
      env: {
        REDOUBT_KEYSTORE_LOG_N: '14',
        REDOUBT_MAX_ACTIVE_KEYS: String(ACTIVE_KEYS),
        REDOUBT_LIMITS_REQUEST_DEADLINE: String(DEADLINE_MS),
        // New clients are strangers until they are bound: their share must not be used up by garbage.
        REDOUBT_LIMITS_STRANGERS_PER_KEY: '200',
        REDOUBT_LIMITS_STRANGERS_TOTAL: '1000',
        REDOUBT_LOG_LEVEL: 'info',
        // A client that shows a nostrconnect:// URI names the relay outside.
        REDOUBT_ALLOW_PRIVATE_RELAYS: 'true',
      },
    };
    this.daemon = new TestDaemon(this.#options);
  }

  static async make(random: Seeded, around: Omit<Surroundings, 'url'>): Promise<Installation> {
    const outside = await new OutsideRelay().start();
    const made = new Installation(outside.url, random);
    Object.assign(made, { outside });
    await made.flaky.start();
    const env = made.#options.env;
    made.#options.config = { nostr: { relays: [made.flaky.url] } };
    await made.daemon.start();
    env.NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE = join(made.daemon.data, 'passphrase');
    made.passphrase = readFileSync(env.NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE, 'utf8').trim();
    await made.#provision({ ...around, url: (path) => (path === 'outside' ? made.flaky.url : made.relay) });
    return made;
  }

  get relay(): string {
    return this.daemon.quickstart.relay;
  }

  /** Starts it and waits until it is on both relays. */
  async start(program: 'built' | 'faulty' = 'built'): Promise<void> {
    if (program === 'faulty') this.#options.entry = FAULTY;
    else delete this.#options.entry;
    await this.daemon.start();
    await this.healthy();
  }

  /** Until nothing is wrong with it, the relay outside included. */
  async healthy(): Promise<void> {
    await until('it is healthy', async () => {
      const response = await fetch(this.daemon.quickstart.health_url).catch(() => null);
      if (response === null) return false;
      const { relays } = (await response.json()) as { relays: { [url: string]: string } };
      return response.status === 200 && Object.values(relays).every((state) => state === 'ready');
    });
  }

  async #provision(around: Surroundings): Promise<void> {
    const { daemon_pubkey } = this.daemon.quickstart;
    const admin = await openAdmin(this.daemon.adminSecretKey(), daemon_pubkey, this.relay);
    this.canaries.push(textNeedle('passphrase', this.passphrase), textNeedle('plaintext', this.plaintext));
    for (const name of [...KEYS, SWING]) {
      const secretKey = generateSecretKey();
      this.canaries.push(keyNeedle(`private key of ${name}`, secretKey));
      await admin.result('create_new_key', [name, this.passphrase, nip19.nsecEncode(secretKey)]);
    }
    const ciphers = ['nip44_encrypt', 'nip44_decrypt', 'nip04_encrypt', 'nip04_decrypt'].map((method) => ({ method }));
    const signs = KINDS.map((kind) => ({ method: 'sign_event', kind, use_count: 10_000_000 }));
    this.policy = await createPolicy(admin, 'soak', [...signs, ...ciphers]);
    const connect = async (key: string, policy: number): Promise<Client> => {
      const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, key, policy)).bunker_url);
      this.pubkeys.set(key, pubkey);
      const caller = new Caller(around, generateSecretKey(), pubkey);
      const answer = await caller.ask('connect', [pubkey, secret]);
      if (answer?.result !== 'ack') throw new Error(`${key} was not connected to: ${answer?.error}`);
      return { key, caller };
    };
    for (const key of KEYS) {
      for (let i = 0; i < CLIENTS_PER_KEY; i++) this.clients.push(await connect(key, this.policy));
      const policy = await createPolicy(admin, `counted ${key}`, [{ method: 'sign_event', kind: 1, use_count: USES }]);
      this.limited.push({ ...(await connect(key, policy)), policy });
    }
    this.clients.push(await connect(SWING, this.policy));
    admin.close();
    const secretKey = nip19.decode(this.daemon.adminSecretKey() as `nsec1${string}`).data;
    this.admin = new Caller(around, secretKey, daemon_pubkey, 24134);
  }

  async remove(): Promise<void> {
    for (const { caller } of [...this.clients, ...this.limited]) caller.close();
    this.admin?.close();
    await this.daemon.remove();
    await this.flaky.stop();
    await this.outside.stop();
  }
}
