import { type Clock, unixNow } from '../actor/clock.ts';
import type { Secret } from '../actor/protocol.ts';
import type { Curve, PrivateKey } from '../curve/curve.ts';
import type { Random } from '../curve/random.ts';
import { Conversations, type Encryption, encryptionOf } from '../nip46/conversations.ts';
import { type NostrEvent, parseEvent } from '../nip46/event.ts';
import { bytesToHex } from '../nip46/hex.ts';
import { relayAuth } from '../nip46/relay-auth.ts';
import { isGenuine, signAddressed } from '../nip46/signed.ts';

const NOSTR_CONNECT = 24133;
const ADMIN_RPC = 24134;
/** Kinds of admin events: the admin RPC's own, and NIP-46's, which some clients use for it. */
const KINDS = [ADMIN_RPC, NOSTR_CONNECT];
/** Admins and a few strangers. */
const CONVERSATIONS = 256;

export interface TransportLimits {
  /** s */
  maxClockSkew: number;
  /** bytes */
  maxContent: number;
}

/** Why an event is not looked at any further; nobody is told. */
export type Unfit = 'too large' | 'clock skew';

/** The envelope of the admin RPC: opens events that are addressed to the daemon's key, and seals its answers. */
export class Transport {
  readonly pubkey: string;
  readonly #curve: Curve;
  readonly #key: PrivateKey;
  readonly #clock: Clock;
  readonly #conversations: Conversations;

  constructor(curve: Curve, key: PrivateKey, clock: Clock) {
    this.#curve = curve;
    this.#key = key;
    this.#clock = clock;
    this.pubkey = bytesToHex(key.publicKey);
    this.#conversations = new Conversations(key, CONVERSATIONS);
  }

  /** An event that is shaped like one to us; null for what is none. */
  read(raw: string): NostrEvent | null {
    const event = parseEvent(raw);
    if (event === null || !KINDS.includes(event.kind)) return null;
    if (!event.tags.some((tag) => tag[0] === 'p' && tag[1] === this.pubkey)) return null;
    return event.pubkey === this.pubkey ? null : event;
  }

  /** What else can be told without the curve. */
  unfit(event: NostrEvent, limits: TransportLimits): Unfit | null {
    if (event.content.length > limits.maxContent) return 'too large';
    if (Math.abs(event.created_at - unixNow(this.#clock)) > limits.maxClockSkew) return 'clock skew';
    return null;
  }

  /** Whether id and signature are the event's own (NIP-01). */
  verify(event: NostrEvent): boolean {
    return isGenuine(this.#curve, event);
  }

  /** The plaintext of a verified event, for the caller to wipe; null when it cannot be had. */
  decrypt(event: NostrEvent, limits: TransportLimits): Secret | null {
    try {
      return this.#conversations.with(event.pubkey).open(event.content, limits.maxContent);
    } catch {
      return null;
    }
  }

  /** The event that answers `request`, as JSON: of its kind, and encrypted as it was. */
  seal(request: NostrEvent, text: string): string {
    const content = this.#conversations.with(request.pubkey).seal(text, encryptionOf(request.content));
    return this.#sign(request.kind, request.pubkey, content);
  }

  /** An event that asks an admin, as JSON. */
  ask(admin: string, text: string, encryption: Encryption): string {
    return this.#sign(ADMIN_RPC, admin, this.#conversations.with(admin).seal(text, encryption));
  }

  /** An event of NIP-46's kind from the daemon to itself, never the same twice. */
  probe(random: Random): string {
    const content = this.#conversations.with(this.pubkey).nip44.encrypt(bytesToHex(random(16)));
    return this.#sign(NOSTR_CONNECT, this.pubkey, content);
  }

  /** NIP-42's event (JSON) for a relay and one of its challenges; null for what is none. */
  authenticate(relay: string, challenge: string): string | null {
    return relayAuth(this.pubkey, relay, challenge, unixNow(this.#clock))?.sign(this.#key).raw ?? null;
  }

  wipe(): void {
    this.#conversations.wipe();
    this.#key.wipe();
  }

  #sign(kind: number, to: string, content: string): string {
    return signAddressed(this.#key, { kind, to, content, createdAt: unixNow(this.#clock) }).raw;
  }
}
