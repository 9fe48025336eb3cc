import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../actor/clock.ts';
import type { SignedEvent } from '../nip46/signed.ts';
import type { Incoming } from '../relay/protocol.ts';
import type { KeyLimits, Outcome } from './protocol.ts';
import type { KeyThread } from './thread.ts';

/** What a key needs of the daemon around it. */
export interface Surroundings {
  readonly limits: KeyLimits;
  /** Events that may wait for one key. */
  readonly keyQueue: number;
  /** Advertised relays, sorted. */
  relays(): string[];
  readonly clock: Clock;
  takeThread(): Promise<KeyThread | null>;
  /** A key has nothing more to do. */
  rested(): void;
  /** A port on which the vault's `Unsealing` waits. */
  release(pubkey: string): Promise<MessagePort | 'locked' | 'unavailable'>;
  attachPolicy(keyName: string, port: MessagePort): void;
  attachAdmins(keyName: string, port: MessagePort): void;
  publish(pubkey: string, request: Incoming, response: SignedEvent): void;
  verified(id: string): void;
  finished(method: string, outcome: Outcome, ms: number): void;
  dropped(reason: string): void;
  log(level: 'info' | 'warn' | 'error', message: string, fields: { [key: string]: string | number }): void;
  /** A key turned out to be locked: the subscriptions must follow. */
  relocked(): void;
}
