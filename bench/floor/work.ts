import { randomBytes } from 'node:crypto';
import { asSecret } from '../../src/actor/protocol.ts';
import type { Curve, PrivateKey } from '../../src/curve/curve.ts';
import { checkTemplate, eventId, parseEvent, signedEventJson } from '../../src/nip46/event.ts';
import { bytesToHex, hexToBytes } from '../../src/nip46/hex.ts';
import { Conversation } from '../../src/nip46/nip44.ts';

/** us for one request */
export interface Sample {
  cpu: number;
  wall: number;
}

const KIND = 24133;
const MAX_CONTENT = 262_144;
const decoder = new TextDecoder('utf-8', { fatal: true });

/** What cannot be left out of one sign_event request, with nothing around it. */
export class Work {
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
