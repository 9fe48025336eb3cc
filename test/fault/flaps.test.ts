// deadline: 90 s
/**
 * Three relays: one goes up and down every second, one is left half open and hung up on, and all of them are unruly
 * (unruly-relay.ts). Clients send each request to all of them, and again in a new envelope when no answer comes. Each
 * request is answered once or expires, none is signed twice, and the daemon holds no more than it did before.
 * `REDOUBT_FLAP_SECONDS` says for how long. The limits on a client are raised: lies cost it its share as well.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { generateSecretKey } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SignedEvent } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, usesCounted } from '../support/database.ts';
import { printFigures } from '../support/figures.ts';
import { dropped, metric } from '../support/metrics.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient, type RpcResponse } from '../support/rpc.ts';
import { quickVerify } from '../support/sign.ts';
import { until } from '../support/until.ts';
import { type Manners, UnrulyRelay } from './unruly-relay.ts';

const SECONDS = Number(process.env.REDOUBT_FLAP_SECONDS ?? 8);
const CLIENTS = 4;
const LANES = 2;
/** A client asks again after this long, ms, which is sooner than many an answer comes, and gives up after so many times. */
const PATIENCE_MS = 300;
const TIMES = 30;
const UNRULY: Manners = { delay: 200, duplicated: 0.3, dropped: 0.1, liedAbout: 0.3 };
const MORE_HANDLES = 4;
const MORE_RSS_MIB = 64;

const flapping = new UnrulyRelay(UNRULY);
const halfOpen = new UnrulyRelay(UNRULY);
const lying = new UnrulyRelay(UNRULY);
const relays = [flapping, halfOpen, lying];
let daemon: TestDaemon;

test.before(async () => {
  for (const relay of relays) await relay.start();
  daemon = await new TestDaemon({
    config: { nostr: { relays: relays.map(({ url }) => url) } },
    env: {
      REDOUBT_KEYSTORE_LOG_N: '14',
      REDOUBT_LIMITS_CLIENT_RATE: '100000',
      REDOUBT_LIMITS_CLIENT_BURST: '100000',
      REDOUBT_LIMITS_KEY_QUEUE: '1024',
      REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000',
      REDOUBT_LIMITS_STRANGERS_TOTAL: '1000',
    },
  }).start();
});
test.after(async () => {
  await daemon?.remove();
  for (const relay of relays) await relay.stop();
});

interface Asked {
  /** Envelopes that were sent. */
  envelopes: number;
  results: Set<string>;
}

/** A client on every relay that there is just now. */
class Everywhere {
  readonly secretKey = generateSecretKey();
  readonly remote: string;
  readonly asked = new Map<string, Asked>();
  pubkey = '';
  /** Responses that are genuine, by the id of their request. */
  readonly #responses = new Map<string, Set<string>>();
  readonly #sockets = new Map<string, RpcClient>();
  #kept: Promise<void>[] = [];
  #isOpen = true;
  #made = 0;

  constructor(remote: string) {
    this.remote = remote;
  }

  async open(): Promise<this> {
    this.#kept = relays.map(({ url }) => this.#keep(url));
    await until('it is on every relay', () => this.#sockets.size === relays.length);
    return this;
  }

  /** Resolves when what it received is noted. */
  async close(): Promise<void> {
    this.#isOpen = false;
    for (const socket of this.#sockets.values()) socket.close();
    await Promise.all(this.#kept);
  }

  /** The response; null when none came. */
  async ask(method: string, params: unknown[]): Promise<RpcResponse | null> {
    const id = `${this.#made++}`;
    const asked: Asked = { envelopes: 0, results: new Set() };
    this.asked.set(id, asked);
    for (let time = 0; time < TIMES; time++) {
      const answered = Promise.withResolvers<RpcResponse>();
      const sockets = [...this.#sockets.values()];
      const { event } = (sockets[0] ?? new RpcClient(this.secretKey, this.remote)).request(method, params, { id });
      asked.envelopes++;
      for (const socket of sockets) {
        void socket.next(id).then(answered.resolve);
        if (socket.socket.readyState === socket.socket.OPEN) socket.sendEvent(event);
      }
      const response = await Promise.race([answered.promise, sleep(PATIENCE_MS)]);
      if (response !== undefined) return response;
    }
    return null;
  }

  /** How many genuine responses there were to this request. */
  responses(id: string): number {
    return this.#responses.get(id)?.size ?? 0;
  }

  async #keep(url: string): Promise<void> {
    while (this.#isOpen) {
      const socket = await new RpcClient(this.secretKey, this.remote).open(url).catch(() => null);
      if (socket === null) {
        await sleep(100);
        continue;
      }
      this.pubkey = socket.pubkey;
      this.#sockets.set(url, socket);
      await new Promise((resolve) => socket.socket.once('close', resolve));
      if (this.#isOpen) this.#sockets.delete(url);
      this.#note(socket);
    }
  }

  #note({ deliveries }: RpcClient): void {
    for (const { event, text } of deliveries) {
      const { id, result, error } = JSON.parse(text) as RpcResponse;
      this.asked.get(id)?.results.add(error ?? result);
      if (!quickVerify(event)) continue;
      const seen = this.#responses.get(id) ?? new Set();
      this.#responses.set(id, seen.add(event.id));
    }
  }
}

interface Held {
  fds: number;
  threads: number;
  timers: number;
  rssMiB: number;
}

async function held(): Promise<Held> {
  const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))![1];
  return {
    fds: readdirSync(`/proc/${daemon.pid}/fd`).length,
    threads: readdirSync(`/proc/${daemon.pid}/task`).length,
    timers: await metric(daemon, 'nodejs_active_resources{type="Timeout"}'),
    rssMiB: Math.round(Number(rss) / 1024),
  };
}

async function isReady({ url }: UnrulyRelay): Promise<boolean> {
  const response = await fetch(daemon.quickstart.health_url);
  const states = ((await response.json()) as { relays: { [url: string]: string } }).relays;
  return (states[url] ?? states[`${url}/`]) === 'ready';
}

test(`relays that flap, stand half open, delay, repeat, drop and lie, for ${SECONDS} s`, async () => {
  await until('every relay is ready', async () => (await Promise.all(relays.map(isReady))).every(Boolean));
  const admin = await adminOf(daemon);
  const policy = await createPolicy(admin, 'flaps', [{ method: 'sign_event', kind: 1, use_count: 1e6 }]);
  const clients: Everywhere[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, 'demo', policy)).bunker_url);
    const client = await new Everywhere(pubkey).open();
    assert.is((await client.ask('connect', [pubkey, secret]))?.result, 'ack');
    clients.push(client);
  }
  admin.close();
  const before = await held();

  let going = true;
  const answered = new Map<string, SignedEvent>();
  let expired = 0;
  const lane = async (client: Everywhere) => {
    while (going) {
      const template = { kind: 1, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) };
      const response = await client.ask('sign_event', [JSON.stringify(template)]);
      if (response === null) {
        expired++;
        continue;
      }
      assert.is(response.error, undefined);
      const event = JSON.parse(response.result) as SignedEvent;
      assert.ok(quickVerify(event) && event.content === template.content);
      answered.set(event.id, event);
      await sleep(50);
    }
  };
  const load = Promise.all(clients.flatMap((client) => Array.from({ length: LANES }, () => lane(client))));
  let flaps = 0;
  for (const end = Date.now() + SECONDS * 1000; Date.now() < end; flaps++) {
    await flapping.stop();
    halfOpen.freeze();
    await sleep(1000);
    await flapping.start();
    halfOpen.hangUp();
    await sleep(1000);
  }
  going = false;
  await load;
  for (const relay of relays) relay.manners = { delay: 0, duplicated: 0, dropped: 0, liedAbout: 0 };
  await until('it is at rest', async () => (await metric(daemon, 'redoubt_queue_depth{queue="keys"}')) === 0);
  const lies = await dropped(daemon, 'signature');
  const refusedReplays = await dropped(daemon, 'replay');
  const after = await held();
  await Promise.all(clients.map((client) => client.close()));

  const rows = clients.flatMap(({ pubkey }) => auditRows(daemon, pubkey, 'sign_event'));
  const counted = rows.filter(({ params }) => params.retry === false).map(({ params }) => String(params.event));
  const envelopes = clients.flatMap(({ asked }) => [...asked.values()]).reduce((sum, one) => sum + one.envelopes, 0);
  const figures = { seconds: SECONDS, flaps, envelopes, answered: answered.size, expired, lies, refusedReplays };
  printFigures('R16', { ...figures, counted: counted.length, rows: rows.length, before, after });
  assert.is(new Set(counted).size, counted.length, 'nothing was signed twice');
  assert.is(usesCounted(daemon, policy), counted.length, 'nothing was counted twice');
  for (const id of answered.keys()) assert.ok(counted.includes(id), 'what was signed is recorded');
  for (const client of clients) {
    for (const [id, { envelopes, results }] of client.asked) {
      assert.ok(results.size <= 1, 'every answer to a request says the same');
      assert.ok(client.responses(id) <= envelopes, 'each envelope is answered once');
    }
  }
  assert.ok(answered.size > SECONDS && lies > 0, 'there was something to see');
  for (const name of ['fds', 'threads', 'timers'] as const) {
    assert.ok(after[name] <= before[name] + MORE_HANDLES, `${name}: ${before[name]}, then ${after[name]}`);
  }
  assert.ok(after.rssMiB <= before.rssMiB + MORE_RSS_MIB, `MiB: ${before.rssMiB}, then ${after.rssMiB}`);
});

function sleep(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined));
}

test.run();
