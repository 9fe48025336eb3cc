import { randomBytes } from 'node:crypto';
import { verifyEvent } from 'nostr-tools/pure';
import { type Frame, goodRelay, type Peer, type Script } from './fake-relay.ts';

export interface AuthScript extends Script {
  /** Pubkeys that have authenticated, in order, on any connection. */
  readonly authenticated: string[];
  /** Why each AUTH that was not taken was not. */
  readonly refused: string[];
}

/**
 * A relay that wants NIP-42. `anyone`: who has authenticated with some key may do everything; `owner`: a subscription
 * needs every `p` of its filters, and an event its author, authenticated on that connection.
 */
export function authScript(demand: 'anyone' | 'owner', more: { challenge?: () => string } = {}): AuthScript {
  const { challenge = () => randomBytes(8).toString('hex') } = more;
  const challenges = new WeakMap<Peer, string>();
  const here = new WeakMap<Peer, Set<string>>();
  const authenticated: string[] = [];
  const refused: string[] = [];
  const may = (peer: Peer, pubkeys: string[]) => {
    const on = here.get(peer) ?? new Set();
    return demand === 'anyone' ? on.size > 0 : pubkeys.every((pubkey) => on.has(pubkey));
  };
  const authenticate = (peer: Peer, event: AuthEvent, url: string) => {
    const problem = wrong(event, challenges.get(peer) ?? '', url);
    peer.send(['OK', event.id, problem === null, problem ?? '']);
    if (problem !== null) return void refused.push(problem);
    here.set(peer, (here.get(peer) ?? new Set()).add(event.pubkey));
    authenticated.push(event.pubkey);
  };
  return {
    authenticated,
    refused,
    onConnect: (peer) => {
      challenges.set(peer, challenge());
      peer.send(['AUTH', challenges.get(peer)]);
    },
    onFrame: (frame, peer, relay) => {
      if (frame[0] === 'AUTH') return authenticate(peer, frame[1] as AuthEvent, relay.url);
      const author = (frame[1] as AuthEvent).pubkey;
      if (frame[0] === 'EVENT' && !may(peer, [author])) {
        return peer.send(['OK', (frame[1] as AuthEvent).id, false, 'auth-required: who are you?']);
      }
      if (frame[0] === 'REQ' && !may(peer, recipients(frame))) {
        peer.subscriptions.delete(frame[1] as string);
        return peer.send(['CLOSED', frame[1], 'auth-required: for whom?']);
      }
      goodRelay(frame, peer, relay);
    },
  };
}

interface AuthEvent {
  id: string;
  pubkey: string;
  kind: number;
  created_at: number;
  tags: string[][];
  content: string;
  sig: string;
}

function wrong(event: AuthEvent, challenge: string, url: string): string | null {
  const tag = (name: string) => event.tags.find(([first]) => first === name)?.[1];
  if (!verifyEvent(event)) return 'invalid: signature';
  if (event.kind !== 22242) return 'invalid: kind';
  if (tag('challenge') !== challenge) return 'invalid: challenge';
  return tag('relay')?.replace(/\/$/, '') === url ? null : 'invalid: relay';
}

function recipients(frame: Frame): string[] {
  return frame.slice(2).flatMap((filter) => (filter as { '#p'?: string[] })['#p'] ?? []);
}
