import { randomBytes } from 'node:crypto';
import { getPublicKey, nip44 } from 'nostr-tools';
import { WebSocket } from 'ws';
import { asSecret } from '../../src/actor/protocol.ts';
import type { PrivateKey } from '../../src/curve/curve.ts';
import { loadCurve } from '../../src/curve/load.ts';
import type { SignedEvent } from '../../test/support/clients.ts';
import { hashOf } from '../../test/support/sign.ts';
import type { BoundClient } from './protocol.ts';

const KIND = 24133;
/** The fastest: a million requests are signed here, and two million signatures verified. */
const curve = await loadCurve();

interface Prepared {
  template: { kind: number; created_at: number; tags: string[][]; content: string };
  frame: string;
  /** Monotonic ms. */
  sent: number;
}

/** One NIP-46 client on a socket of its own. While the clock runs it moves frames and looks at nothing else. */
export class Client {
  readonly #remote: string;
  readonly #key: PrivateKey;
  readonly #pubkey: string;
  readonly #conversation: Uint8Array;
  readonly #session = randomBytes(4).toString('hex');
  #socket!: WebSocket;
  #next = 0;
  #prepared = new Map<string, Prepared>();
  #toSend: Prepared[] = [];
  #inOrder: Prepared[] = [];
  #arrived: { frame: Buffer; at: number }[] = [];
  #done: PromiseWithResolvers<void> | undefined;

  constructor({ secretKey, remote }: BoundClient) {
    const secret = asSecret(Uint8Array.from(Buffer.from(secretKey, 'hex')));
    this.#key = curve.openKey(secret);
    this.#remote = remote;
    this.#pubkey = getPublicKey(secret);
    this.#conversation = nip44.getConversationKey(secret, remote);
  }

  /** Answers that have arrived since `prepare`. */
  get arrived(): number {
    return this.#arrived.length;
  }

  async open(relay: string): Promise<void> {
    const socket = new WebSocket(relay, { perMessageDeflate: false });
    this.#socket = socket;
    const subscribed = Promise.withResolvers<void>();
    const lost = (why: string) => {
      const error = new Error(`the relay's connection: ${why}`);
      subscribed.reject(error);
      this.#done?.reject(error);
    };
    socket.on('error', (error) => lost(error.message));
    socket.on('close', (code) => lost(`closed with ${code}`));
    socket.on('open', () => {
      socket.send(JSON.stringify(['REQ', 'r', { kinds: [KIND], '#p': [this.#pubkey], limit: 0 }]));
    });
    socket.on('message', (data: Buffer) => {
      if (data.toString('latin1', 2, 6) === 'EOSE') subscribed.resolve();
      else this.#receive(data);
    });
    await subscribed.promise;
  }

  /**
   * Makes, encrypts and signs requests, each with an id of its own.
   * @param echo address them to this client itself: the relay brings them back as they are
   */
  prepare(count: number, echo = false): void {
    const to = echo ? this.#pubkey : this.#remote;
    this.#prepared = new Map();
    this.#arrived = [];
    this.#toSend = [];
    this.#inOrder = [];
    for (let i = 0; i < count; i++) {
      const id = `${this.#session}-${this.#next++}`;
      const created_at = Math.floor(Date.now() / 1000);
      const template = { kind: 1, created_at, tags: [['p', this.#remote]], content: `note ${id} `.repeat(8) };
      const body = JSON.stringify({ id, method: 'sign_event', params: [JSON.stringify(template)] });
      const content = nip44.encrypt(body, this.#conversation);
      const envelope = { pubkey: this.#pubkey, kind: KIND, created_at, tags: [['p', to]], content };
      const hash = hashOf(envelope);
      const sig = Buffer.from(this.#key.sign(hash)).toString('hex');
      const frame = JSON.stringify(['EVENT', { ...envelope, id: hash.toString('hex'), sig }]);
      const prepared = { template, frame, sent: 0 };
      this.#inOrder.push(prepared);
      this.#prepared.set(id, prepared);
      this.#toSend.push(prepared);
    }
    this.#toSend.reverse();
  }

  /** Sends what was prepared, `inFlight` at once. @returns when there are as many answers as requests */
  async run(inFlight: number): Promise<void> {
    if (this.#toSend.length === 0) return;
    this.#done = Promise.withResolvers();
    for (let i = 0; i < inFlight; i++) this.#send();
    await this.#done.promise;
  }

  /** Reads and verifies every answer. @returns the latency of each, ms @throws Error saying what is wrong */
  check(): number[] {
    const latencies: number[] = [];
    for (const { frame, at } of this.#arrived) {
      const [, , envelope] = JSON.parse(frame.toString()) as [string, string, SignedEvent];
      if (envelope.pubkey !== this.#remote || envelope.kind !== KIND) throw new Error('an answer of somebody else');
      if (!verifies(envelope)) throw new Error('an answer with a wrong id or signature');
      const { id, result, error } = JSON.parse(nip44.decrypt(envelope.content, this.#conversation));
      const prepared = this.#prepared.get(id);
      if (prepared === undefined) throw new Error(`an answer to a request that was not made, or a second one: ${id}`);
      this.#prepared.delete(id);
      if (error) throw new Error(`a request was refused: ${error}`);
      const event = JSON.parse(result) as SignedEvent;
      const { kind, created_at, tags, content } = event;
      const asked = JSON.stringify(prepared.template);
      if (JSON.stringify({ kind, created_at, tags, content }) !== asked) throw new Error('another event was signed');
      if (event.pubkey !== this.#remote || !verifies(event)) throw new Error('a signature does not verify');
      latencies.push(at - prepared.sent);
    }
    if (this.#prepared.size > 0) throw new Error(`${this.#prepared.size} requests were not answered`);
    return latencies;
  }

  /** The latency of each answer, ms, when there was never more than one under way. */
  roundTrips(): number[] {
    return this.#arrived.map(({ at }, i) => at - this.#inOrder[i]!.sent);
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.close();
  }

  #send(): void {
    const request = this.#toSend.pop();
    if (request === undefined) return;
    request.sent = performance.now();
    this.#socket.send(request.frame);
  }

  #receive(frame: Buffer): void {
    if (frame.toString('latin1', 2, 7) === 'EVENT') {
      this.#arrived.push({ frame, at: performance.now() });
      this.#send();
      if (this.#arrived.length === this.#prepared.size) this.#done?.resolve();
      return;
    }
    const text = frame.toString();
    // `OK` says nothing unless it is a refusal; everything else is one.
    if (!/^\["OK","[0-9a-f]{64}",true,/.test(text)) this.#done?.reject(new Error(`the relay says ${text}`));
  }
}

function verifies(event: SignedEvent): boolean {
  const hash = hashOf(event);
  if (hash.toString('hex') !== event.id) return false;
  return curve.verify(Buffer.from(event.sig, 'hex'), hash, Buffer.from(event.pubkey, 'hex'));
}
