import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Link } from '../actor/link.ts';
import type { MainToVault, VaultToMain } from './protocol.ts';

export interface Releasing {
  /** On which what opens the key will wait, for the thread that is to hold it; closed if the vault brings nothing. */
  port: MessagePort;
  /** `locked`: the vault does not hold what opens the key. `unavailable`: it does not answer. */
  released: Promise<'released' | 'locked' | 'unavailable'>;
}

/** Has the vault put a key's `Unsealing` on a port, which can be handed on before that has happened. */
export function release(vault: Link<MainToVault, VaultToMain>, pubkey: string): Releasing {
  const { port1, port2 } = new MessageChannel();
  const released = vault.ask('release', { pubkey, port: port1 }, { transfer: [port1] }).then(
    (holds) => (holds ? ('released' as const) : ('locked' as const)),
    () => {
      // A vault that was gone already did not take it.
      port1.close();
      return 'unavailable' as const;
    },
  );
  return { port: port2, released };
}
