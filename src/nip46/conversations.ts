import { type Secret, wipe } from '../actor/protocol.ts';
import { TransientMap } from '../actor/transient-map.ts';
import type { PrivateKey } from '../curve/curve.ts';
import { hexToBytes } from './hex.ts';
import * as nip04 from './nip04.ts';
import { Conversation } from './nip44.ts';

export type Encryption = 'nip44' | 'nip04';

/** NIP-04 contents carry their iv; NIP-44 payloads are plain base64. */
export function encryptionOf(content: string): Encryption {
  return content.includes('?iv=') ? 'nip04' : 'nip44';
}

/** What one key and one other key can say to each other in secret; both NIP-44 and NIP-04 grow from one ECDH. */
export class Peer {
  readonly #sharedX: Secret;
  #nip44: Conversation | undefined;

  constructor(sharedX: Secret) {
    this.#sharedX = sharedX;
  }

  get nip44(): Conversation {
    this.#nip44 ??= new Conversation(this.#sharedX);
    return this.#nip44;
  }

  /** Opens the content of an event, in whichever of the two encryptions it is. @throws CipherError */
  open(content: string, maxBytes: number): Secret {
    return encryptionOf(content) === 'nip04'
      ? this.decryptNip04(content, maxBytes)
      : this.nip44.decrypt(content, maxBytes);
  }

  /** Content for an event that answers one in this encryption. */
  seal(text: string, encryption: Encryption): string {
    return encryption === 'nip04' ? this.encryptNip04(text) : this.nip44.encrypt(text);
  }

  encryptNip04(plaintext: string, iv?: Uint8Array): string {
    return nip04.encrypt(plaintext, this.#sharedX, iv);
  }

  decryptNip04(payload: string, maxBytes: number): Secret {
    return nip04.decrypt(payload, this.#sharedX, maxBytes);
  }

  wipe(): void {
    this.#nip44?.wipe();
    wipe(this.#sharedX);
  }
}

/** The peers that a key has talked to lately: an ECDH each, so they are kept, bounded, and overwritten on eviction. */
export class Conversations {
  readonly #key: PrivateKey;
  readonly #max: number;
  readonly #peers = new TransientMap<string, Peer>();

  constructor(key: PrivateKey, max = 1024) {
    this.#key = key;
    this.#max = max;
  }

  /** @throws RangeError when `pubkey` (64 hex digits) is no point on the curve */
  with(pubkey: string): Peer {
    let peer = this.#peers.get(pubkey);
    if (peer === undefined) peer = new Peer(this.#key.sharedX(hexToBytes(pubkey)));
    else this.#peers.delete(pubkey);
    this.#peers.set(pubkey, peer);
    if (this.#peers.size > this.#max) this.#evictOldest();
    return peer;
  }

  wipe(): void {
    for (const peer of this.#peers.values()) peer.wipe();
    this.#peers.clear();
  }

  #evictOldest(): void {
    const [pubkey, peer] = this.#peers[Symbol.iterator]().next().value!;
    this.#peers.delete(pubkey);
    peer.wipe();
  }
}
