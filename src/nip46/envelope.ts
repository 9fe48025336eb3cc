import { createHmac } from 'node:crypto';
import type { Clock } from '../actor/clock.ts';
import { unixNow } from '../actor/clock.ts';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import type { Curve, PrivateKey } from '../curve/curve.ts';
import type { Outcome } from '../key/protocol.ts';
import { Conversations, type Encryption, encryptionOf } from './conversations.ts';
import { type NostrEvent, parseEvent } from './event.ts';
import { bytesToHex } from './hex.ts';
import { KeyedHash } from './keyed-hash.ts';
import { isGenuine, type SignedEvent, signAddressed } from './signed.ts';

export const REQUEST_KIND = 24133;

/** A request event that was verified and decrypted. */
export interface Opened {
  event: NostrEvent;
  /** Responses use what the request used, never anything else. */
  encryption: Encryption;
  /** The JSON-RPC message. */
  text: string;
  /** Keyed hash of client, request id and body. */
  body: string;
}

/** Whom a response goes to, and how. */
export interface Addressee {
  event: { pubkey: string };
  encryption: Encryption;
}

export interface EnvelopeLimits {
  /** s */
  maxClockSkew: number;
  /** bytes */
  maxContent: number;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The NIP-46 envelope of one key: opens request events, seals responses. */
export class Envelope {
  readonly conversations: Conversations;
  readonly pubkey: string;
  readonly #curve: Curve;
  readonly #key: PrivateKey;
  readonly #limits: EnvelopeLimits;
  readonly #clock: Clock;
  readonly #bodyHash: KeyedHash;

  /**
   * @param replayKey keys the hash that recognises a retry; derived from the private key, so it outlives restarts. It is
   * taken over, and wiped.
   */
  constructor(curve: Curve, key: PrivateKey, replayKey: Secret, limits: EnvelopeLimits, clock: Clock) {
    this.#curve = curve;
    this.#key = key;
    this.#bodyHash = new KeyedHash(replayKey);
    wipe(replayKey);
    this.#limits = limits;
    this.#clock = clock;
    this.pubkey = bytesToHex(key.publicKey);
    this.conversations = new Conversations(key);
  }

  /** Everything that can be told without the curve: shape, addressee, size, clock. */
  read(raw: string): NostrEvent | Outcome {
    const event = parseEvent(raw);
    if (event === null || event.kind !== REQUEST_KIND) return 'invalid';
    if (!event.tags.some((tag) => tag[0] === 'p' && tag[1] === this.pubkey)) return 'invalid';
    if (event.content.length > this.#limits.maxContent) return 'invalid';
    if (Math.abs(event.created_at - unixNow(this.#clock)) > this.#limits.maxClockSkew) return 'dropped: skew';
    return event;
  }

  verify(event: NostrEvent): boolean {
    return isGenuine(this.#curve, event);
  }

  /** Decrypts a verified event; an outcome when it cannot be. */
  open(event: NostrEvent): Opened | Outcome {
    let bytes: Secret | null = null;
    try {
      bytes = this.conversations.with(event.pubkey).open(event.content, this.#limits.maxContent);
      const body = this.#bodyHash.hex(event.pubkey, bytes);
      return { event, encryption: encryptionOf(event.content), text: decoder.decode(bytes), body };
    } catch {
      return 'dropped: undecryptable';
    } finally {
      wipe(bytes);
    }
  }

  /** The response event for an opened request; `created_at` is now, since clients subscribe with `since: now`. */
  seal(opened: Addressee, text: string): SignedEvent {
    // Looked up anew: the peer may have been evicted, and overwritten, while the request waited for its decision.
    const to = opened.event.pubkey;
    const content = this.conversations.with(to).seal(text, opened.encryption);
    return signAddressed(this.#key, { kind: REQUEST_KIND, to, content, createdAt: unixNow(this.#clock) });
  }

  wipe(): void {
    this.conversations.wipe();
    this.#bodyHash.wipe();
    this.#key.wipe();
  }
}

/** The key of the body hash, from the private key: stable over restarts, useless to a reader of the database. */
export function deriveReplayKey(privateKey: Secret): Secret {
  const key = newSecret(32);
  const mac = createHmac('sha256', privateKey).update('redoubt replay v1').digest();
  key.set(mac);
  wipe(mac);
  return key;
}
