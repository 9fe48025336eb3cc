import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../actor/clock.ts';
import type { Releasing } from '../keystore/release.ts';
import type { SignedEvent } from '../nip46/signed.ts';
import type { Incoming } from '../relay/protocol.ts';
import type { KeySettings, Outcome } from './protocol.ts';
import type { KeyThread } from './thread.ts';

/** How often keys got a thread, gave it back because others needed it, and lost it by a crash. */
export type ThreadCounts = { activations: number; passivations: number; crashes: number };

/** What a key needs of the daemon around it. */
export interface Surroundings extends KeySettings {
  /** Events that may wait for one key. */
  keyQueue: number;
  readonly clock: Clock;
  readonly events: ThreadCounts;
  /** Null when none can be started. */
  takeThread(): Promise<KeyThread | null>;
  /** A key has nothing more to do. */
  rested(): void;
  /** Has the vault put what opens the key on a port for its thread. */
  release(pubkey: string): Releasing;
  /** @param client whose request comes first, if anybody's */
  attachPolicy(keyName: string, port: MessagePort, client: string | null): void;
  attachAdmins(keyName: string, port: MessagePort): void;
  publish(pubkey: string, request: Incoming, response: SignedEvent): void;
  verified(id: string): void;
  finished(key: string, request: Incoming, method: string, outcome: Outcome, ms: number): void;
  dropped(reason: string): void;
  log(level: 'info' | 'warn' | 'error', message: string, fields: { [key: string]: string | number }): void;
  /** A key turned out to be locked: the subscriptions must follow. */
  relocked(): void;
}
