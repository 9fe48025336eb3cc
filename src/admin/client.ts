import { type Clock, unixNow } from '../actor/clock.ts';
import { type Secret, wipe } from '../actor/protocol.ts';
import type { Curve, PrivateKey } from '../curve/curve.ts';
import type { Random } from '../curve/random.ts';
import { Conversations } from '../nip46/conversations.ts';
import { parseEvent } from '../nip46/event.ts';
import { bytesToHex } from '../nip46/hex.ts';
import { type SignedEvent, signAddressed } from '../nip46/signed.ts';
import { ClientSocket } from './client-socket.ts';
import { encodeRequest, type Param } from './encode-request.ts';
import { npubEncode } from './npub.ts';

const ADMIN_KIND = 24134;
const MAX_CONTENT = 64 * 1024 * 1024;
/** How long the daemon may take for what needs no derivation, ms. */
const ANSWER_MS = 15_000;
const NOT_AN_ADMIN = 'You are not designated to administrate this bunker';

export interface AdminClientOptions {
  relays: readonly string[];
  /** hex */
  daemonPubkey: string;
  /** Stays the caller's to wipe. */
  adminKey: Secret;
  curve: Curve;
  clock: Clock;
  random: Random;
  answerMs?: number;
}

/** What a method came to; `refusal` is one line for the operator. */
export type Called = { ok: true; result: string } | { ok: false; refusal: string };

interface Waiting {
  method: string;
  resolve(called: Called): void;
  timer: NodeJS.Timeout;
  /** Id of the event that asks, and the relays that have not refused it. */
  event: string;
  open: number;
}

/** Speaks the admin RPC with a running daemon, as any admin client does. docs/ADMIN.md */
export class AdminClient {
  readonly #options: AdminClientOptions;
  readonly #key: PrivateKey;
  readonly #pubkey: string;
  readonly #conversations: Conversations;
  readonly #waiting = new Map<string, Waiting>();
  #sockets: ClientSocket[] = [];

  private constructor(options: AdminClientOptions) {
    this.#options = options;
    this.#key = options.curve.openKey(options.adminKey);
    this.#pubkey = bytesToHex(this.#key.publicKey);
    this.#conversations = new Conversations(this.#key, 1);
  }

  /** Subscribes on the relays that can be reached; one is enough. @throws RangeError for an admin key that is none */
  static async connect(
    options: AdminClientOptions,
  ): Promise<{ ok: true; client: AdminClient } | { ok: false; refusal: string }> {
    const client = new AdminClient(options);
    const tried = await Promise.all(options.relays.map((url) => client.#subscribe(url)));
    if (client.#sockets.length > 0) return { ok: true, client };
    client.close();
    const why = options.relays.map((url, i) => `${url} (${tried[i]})`).join(', ');
    return { ok: false, refusal: `no relay of the daemon can be reached: ${why}; is the daemon running?` };
  }

  /** Carries out one admin method. */
  call(
    method: string,
    params: readonly Param[] = [],
    timeoutMs = this.#options.answerMs ?? ANSWER_MS,
  ): Promise<Called> {
    const id = bytesToHex(this.#options.random(8));
    const plaintext = encodeRequest(id, method, params);
    const event = this.#event(plaintext);
    wipe(plaintext);
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => this.#end(id, { ok: false, refusal: this.#silence(method, timeoutMs) }),
        timeoutMs,
      );
      this.#waiting.set(id, { method, resolve, timer, event: event.id, open: this.#sockets.length });
      for (const socket of this.#sockets) socket.publish(event.raw);
      if (this.#sockets.length === 0) this.#end(id, closed());
    });
  }

  close(): void {
    for (const id of this.#waiting.keys()) this.#end(id, closed());
    for (const socket of this.#sockets) socket.close();
    this.#sockets = [];
    this.#conversations.wipe();
    this.#key.wipe();
  }

  /** Null when the relay is ready, else why it is not. */
  async #subscribe(url: string): Promise<string | null> {
    const connected = await ClientSocket.connect({
      url,
      filter: { kinds: [ADMIN_KIND], authors: [this.#options.daemonPubkey], '#p': [this.#pubkey], limit: 0 },
      onEvent: (event) => this.#receive(event),
      onOk: (id, accepted, reason) => {
        if (!accepted) this.#refusedBy(url, id, reason);
      },
      onClose: () => this.#lost(url),
    });
    if (!connected.ok) return connected.reason;
    this.#sockets.push(connected.socket);
    return null;
  }

  #event(plaintext: Secret): SignedEvent {
    const { daemonPubkey, clock } = this.#options;
    const content = this.#conversations.with(daemonPubkey).nip44.encrypt(plaintext);
    const to = daemonPubkey;
    return signAddressed(this.#key, { kind: ADMIN_KIND, to, content, createdAt: unixNow(clock) });
  }

  /** Whoever could encrypt to us under the daemon's conversation key is the daemon: NIP-44 authenticates. */
  #receive(given: unknown): void {
    const event = parseEvent(JSON.stringify(given));
    if (event === null || event.kind !== ADMIN_KIND || event.pubkey !== this.#options.daemonPubkey) return;
    let plaintext: Secret | undefined;
    try {
      plaintext = this.#conversations.with(event.pubkey).nip44.decrypt(event.content, MAX_CONTENT);
      const answer = JSON.parse(new TextDecoder().decode(plaintext)) as {
        id?: unknown;
        result?: unknown;
        error?: unknown;
      };
      if (typeof answer.id !== 'string') return;
      if (typeof answer.error === 'string') this.#end(answer.id, { ok: false, refusal: this.#explain(answer.error) });
      else if (typeof answer.result === 'string') this.#end(answer.id, { ok: true, result: answer.result });
    } catch {
      // Not an answer to us: whatever it is, the deadline tells.
    } finally {
      wipe(plaintext);
    }
  }

  #refusedBy(url: string, event: string, reason: string): void {
    for (const [id, waiting] of this.#waiting) {
      if (waiting.event !== event || --waiting.open > 0) continue;
      this.#end(id, {
        ok: false,
        refusal: `the relay ${url} does not take the request: ${reason || 'no reason given'}`,
      });
    }
  }

  #lost(url: string): void {
    this.#sockets = this.#sockets.filter((socket) => socket.url !== url);
    if (this.#sockets.length > 0) return;
    for (const id of this.#waiting.keys()) this.#end(id, closed());
  }

  #end(id: string, called: Called): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    waiting.resolve(called);
  }

  #explain(error: string): string {
    if (error !== NOT_AN_ADMIN) return error;
    return `${npubEncode(this.#pubkey)} is no admin of this daemon: add it to admin.npubs, or give another --admin-key-file`;
  }

  #silence(method: string, timeoutMs: number): string {
    const relays = this.#sockets.map((socket) => socket.url).join(', ');
    return (
      `the daemon did not answer ${method} within ${timeoutMs / 1000} s over ${relays}: is it running and on this relay, ` +
      `is ${npubEncode(this.#pubkey)} one of its admins, and are both clocks right?`
    );
  }
}

function closed(): Called {
  return { ok: false, refusal: 'the relay closed the connection before the answer came: is the daemon still running?' };
}
