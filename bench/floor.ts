/**
 * The least that one sign_event request can cost: one signature verified, two made, NIP-44 decrypted and encrypted,
 * and the JSON of it, on one thread, warm, with nothing else around it. Other benchmarks are compared with this one.
 *
 *   npm run bench -- floor [--backends wasm,noble] [--rounds 7] [--warm 2000] [--seconds 1]
 *
 * Each backend runs in a process of its own, and they take their samples in turn.
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { asSecret } from '../src/actor/protocol.ts';
import type { Curve, CurveName, PrivateKey } from '../src/curve/curve.ts';
import { loadCurve } from '../src/curve/load.ts';
import { checkTemplate, eventId, parseEvent, signedEventJson } from '../src/nip46/event.ts';
import { bytesToHex, hexToBytes } from '../src/nip46/hex.ts';
import { Conversation } from '../src/nip46/nip44.ts';
import { inTurn, publish, ratio, spread } from './measure.ts';

interface Sample {
  /** us for one request */
  cpu: number;
  wall: number;
}

const { values: options } = parseArgs({
  options: {
    backends: { type: 'string', default: 'wasm,noble' },
    rounds: { type: 'string', default: '7' },
    warm: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '1' },
    /** What the child processes are started with. */
    only: { type: 'string' },
  },
});

async function compare(backends: string[]): Promise<void> {
  const processes = [];
  for (const name of backends) {
    console.error(`${name}: ${options.warm} requests to warm up`);
    const child = fork(import.meta.filename, ['--only', name, '--warm', options.warm, '--seconds', options.seconds]);
    await next(child);
    processes.push(child);
  }
  const samples = await inTurn(processes, Number(options.rounds), async (child) => {
    child.send('sample');
    return (await next(child)) as Sample;
  });
  for (const child of processes) child.disconnect();

  const cpu = samples.map((of) => of.map((sample) => sample.cpu));
  const rows = backends.map((backend, i) => ({
    backend,
    'CPU us a request': spread(cpu[i]!),
    'wall us a request': spread(samples[i]!.map((sample) => sample.wall)),
    [`CPU / ${backends[0]}`]: ratio(cpu[i]!, cpu[0]!),
  }));
  publish(
    'floor',
    'Per request: verify 1, sign 2, NIP-44 decrypt and encrypt, JSON; one thread, warm, nothing else',
    rows,
  );
}

async function next(child: ReturnType<typeof fork>): Promise<unknown> {
  const ended = new AbortController();
  const dead = once(child, 'exit', { signal: ended.signal }).then(() => {
    throw new Error('a backend ended before it was measured');
  });
  try {
    const [message] = await Promise.race([once(child, 'message', { signal: ended.signal }), dead]);
    return message;
  } finally {
    dead.catch(() => {});
    ended.abort();
  }
}

/** A child process: warms up, says so, then takes a sample whenever it is asked. */
async function serve(name: CurveName): Promise<void> {
  const work = new Work(await loadCurve(name));
  for (let i = 0; i < Number(options.warm); i++) work.answer(i);
  const speed = work.sample(20).wall;
  const count = Math.max(20, Math.ceil((Number(options.seconds) * 1e6) / speed));
  process.on('message', () => process.send!(work.sample(count)));
  process.send!('warm');
}

const KIND = 24133;
const MAX_CONTENT = 262_144;
const decoder = new TextDecoder('utf-8', { fatal: true });

class Work {
  readonly #curve: Curve;
  readonly #key: PrivateKey;
  readonly #pubkey: string;
  readonly #client: PrivateKey;
  readonly #conversation: Conversation;
  readonly #requests: string[];

  constructor(curve: Curve) {
    this.#curve = curve;
    this.#key = curve.openKey(asSecret(randomBytes(32)));
    this.#client = curve.openKey(asSecret(randomBytes(32)));
    this.#pubkey = bytesToHex(this.#key.publicKey);
    this.#conversation = new Conversation(this.#key.sharedX(this.#client.publicKey));
    this.#requests = Array.from({ length: 64 }, (_, i) => this.#request(i));
  }

  /** A request event of a client: a note of the usual length. */
  #request(i: number): string {
    const template = { kind: 1, created_at: now(), tags: [['p', this.#pubkey]], content: `note ${i} `.repeat(16) };
    const request = { id: `request-${i}`, method: 'sign_event', params: [JSON.stringify(template)] };
    return this.#envelope(this.#client, this.#pubkey, JSON.stringify(request));
  }

  #envelope(from: PrivateKey, to: string, text: string): string {
    const content = this.#conversation.encrypt(text);
    const pubkey = bytesToHex(from.publicKey);
    const [created_at, tags] = [now(), [['p', to]]];
    const id = eventId(pubkey, created_at, KIND, tags, content);
    const sig = bytesToHex(from.sign(hexToBytes(id)));
    return signedEventJson({ id, pubkey, created_at, kind: KIND, tags, content, sig });
  }

  /** One request from its JSON to its response's. */
  answer(i: number): string {
    const event = parseEvent(this.#requests[i % this.#requests.length]!)!;
    const id = eventId(event.pubkey, event.created_at, event.kind, event.tags, event.content);
    const signature = hexToBytes(event.sig);
    if (id !== event.id || !this.#curve.verify(signature, hexToBytes(id), hexToBytes(event.pubkey))) {
      throw new Error('the request does not verify');
    }
    const request = JSON.parse(decoder.decode(this.#conversation.decrypt(event.content, MAX_CONTENT)));
    const checked = checkTemplate(request.params[0], { pubkey: this.#pubkey, now: now(), maxFuture: 900 });
    if (!checked.ok) throw new Error(checked.error);
    const sig = bytesToHex(this.#key.sign(hexToBytes(checked.event.id)));
    const result = signedEventJson({ ...checked.event, sig });
    return this.#envelope(this.#key, event.pubkey, JSON.stringify({ id: request.id, result }));
  }

  sample(count: number): Sample {
    const cpuBefore = process.cpuUsage();
    const before = performance.now();
    for (let i = 0; i < count; i++) this.answer(i);
    const wall = (performance.now() - before) * 1000;
    const { user, system } = process.cpuUsage(cpuBefore);
    return { cpu: (user + system) / count, wall: wall / count };
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

if (options.only === undefined) await compare(options.backends.split(','));
else await serve(options.only as CurveName);
