/** A NIP-46 and admin RPC client made of public libraries and a plain socket: it shares no code with the daemon. */
import { randomBytes } from 'node:crypto';
import { getPublicKey, nip04, nip44 } from 'nostr-tools';
import { decode } from 'nostr-tools/nip19';
import { WebSocket } from 'ws';
import type { SignedEvent } from './clients.ts';
import { quickFinalize } from './sign.ts';

export interface RpcResponse {
  id: string;
  result: string;
  error?: string;
}

export type Encryption = 'nip44' | 'nip04';

export interface RequestOptions {
  id?: string;
  /** In place of the JSON-RPC text. */
  body?: string;
  createdAt?: number;
  encryption?: Encryption;
}

/** A response as the relay delivered it. */
export interface Delivery {
  event: SignedEvent;
  encryption: Encryption;
  /** The decrypted JSON-RPC text. */
  text: string;
}

interface Sent {
  /** The event that carried the request. */
  event: SignedEvent;
  response: Promise<RpcResponse>;
}

/** One client key on one relay socket, talking to one remote key. */
export class RpcClient {
  readonly pubkey: string;
  readonly secretKey: Uint8Array;
  readonly remote: string;
  readonly #conversation: Uint8Array;
  readonly #kind: number;
  readonly #waiting = new Map<string, (response: RpcResponse) => void>();
  /** Every response, in order of arrival. */
  readonly received: RpcResponse[] = [];
  /** The events that carried them. */
  readonly deliveries: Delivery[] = [];
  /** OK messages of the relay. */
  readonly oks: [string, boolean, string][] = [];
  /** Who waits for them, by the event's id; relays answer in order. */
  readonly #judged = new Map<string, ((verdict: { ok: boolean; reason: string }) => void)[]>();
  socket!: WebSocket;
  /** Ids differ between instances: the same admin, id and parameters within ten minutes would be a retry. */
  readonly #session = randomBytes(4).toString('hex');
  #next = 1;

  constructor(secretKey: Uint8Array, remote: string, kind = 24133) {
    this.secretKey = secretKey;
    this.pubkey = getPublicKey(secretKey);
    this.remote = remote;
    this.#kind = kind;
    this.#conversation = nip44.getConversationKey(secretKey, remote);
  }

  async open(relay: string): Promise<this> {
    const socket = new WebSocket(relay);
    this.socket = socket;
    const ready = Promise.withResolvers<void>();
    socket.on('error', ready.reject);
    socket.on('close', () => ready.reject(new Error('the relay closed the connection')));
    socket.on('open', () => {
      socket.send(JSON.stringify(['REQ', 'r', { kinds: [24133, 24134], '#p': [this.pubkey], limit: 0 }]));
    });
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as [string, ...unknown[]];
      if (message[0] === 'EOSE') ready.resolve();
      if (message[0] === 'OK') this.#ok(message.slice(1) as [string, boolean, string]);
      if (message[0] === 'EVENT') this.#receive(message[2] as SignedEvent);
    });
    await ready.promise;
    return this;
  }

  close(): void {
    this.socket.close();
  }

  /** A signed request event. */
  request(method: string, params: unknown[], options: RequestOptions = {}): { id: string; event: SignedEvent } {
    const id = options.id ?? `${this.#session}-${this.#next++}`;
    const text = options.body ?? JSON.stringify({ id, method, params });
    const content =
      options.encryption === 'nip04'
        ? nip04.encrypt(this.secretKey, this.remote, text)
        : nip44.encrypt(text, this.#conversation);
    const template = {
      kind: this.#kind,
      tags: [['p', this.remote]],
      content,
      created_at: options.createdAt ?? Math.floor(Date.now() / 1000),
    };
    return { id, event: quickFinalize(template, this.secretKey, this.pubkey) };
  }

  sendEvent(event: unknown): void {
    this.socket.send(JSON.stringify(['EVENT', event]));
  }

  /** Sends an event and waits for what the relay says of it. */
  submit(event: SignedEvent): Promise<{ ok: boolean; reason: string }> {
    const { promise, resolve } = Promise.withResolvers<{ ok: boolean; reason: string }>();
    this.#judged.set(event.id, [...(this.#judged.get(event.id) ?? []), resolve]);
    this.sendEvent(event);
    return promise;
  }

  send(method: string, params: unknown[], options: RequestOptions = {}): Sent {
    const { id, event } = this.request(method, params, options);
    const response = this.next(id);
    this.sendEvent(event);
    return { event, response };
  }

  /** The next response under this id. */
  next(id: string): Promise<RpcResponse> {
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  async call(
    method: string,
    params: unknown[] = [],
    options: RequestOptions & { timeoutMs?: number } = {},
  ): Promise<RpcResponse> {
    const { response } = this.send(method, params, options);
    const timeout = Promise.withResolvers<never>();
    const timer = setTimeout(() => timeout.reject(new Error(`${method}: no answer`)), options.timeoutMs ?? 10_000);
    return Promise.race([response, timeout.promise]).finally(() => clearTimeout(timer));
  }

  /** The result; an error response is thrown. */
  async result(method: string, params: unknown[] = []): Promise<string> {
    const response = await this.call(method, params);
    if (response.error !== undefined) throw new Error(`${method}: ${response.error}`);
    return response.result;
  }

  #ok(message: [string, boolean, string]): void {
    this.oks.push(message);
    const [id, ok, reason] = message;
    this.#judged.get(id)?.shift()?.({ ok, reason });
  }

  #receive(event: SignedEvent): void {
    if (event.pubkey !== this.remote) return;
    const encryption = event.content.includes('?iv=') ? 'nip04' : 'nip44';
    const text =
      encryption === 'nip04'
        ? nip04.decrypt(this.secretKey, this.remote, event.content)
        : nip44.decrypt(event.content, this.#conversation);
    const response = JSON.parse(text) as RpcResponse;
    this.received.push(response);
    this.deliveries.push({ event, encryption, text });
    this.#waiting.get(response.id)?.(response);
    this.#waiting.delete(response.id);
  }
}

/** An admin of a running daemon. */
export function openAdmin(nsec: string, daemonPubkey: string, relay: string): Promise<RpcClient> {
  const decoded = decode(nsec);
  if (decoded.type !== 'nsec') throw new Error('not an nsec');
  return new RpcClient(decoded.data, daemonPubkey, 24134).open(relay);
}

/** bunker:// URL in parts. */
export function parseBunkerUrl(url: string): { pubkey: string; relays: string[]; secret: string } {
  const parsed = new URL(url);
  return {
    pubkey: parsed.host || parsed.pathname.replace(/^\/+/, ''),
    relays: parsed.searchParams.getAll('relay'),
    secret: parsed.searchParams.get('secret') ?? '',
  };
}
