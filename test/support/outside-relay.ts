import { verifyEvent } from 'nostr-tools';
import { systemClock } from '../../src/actor/clock.ts';
import { EmbeddedRelay } from '../../src/relay/embedded.ts';
import type { SignedEvent } from './clients.ts';

/** A relay outside of the daemon, which may be ended and started again at the same address. */
export class OutsideRelay {
  #relay: EmbeddedRelay | null = null;
  #port = 0;
  url = '';

  get connections(): number {
    return this.#relay?.connections ?? 0;
  }

  async start(): Promise<this> {
    const relay = new EmbeddedRelay({
      port: this.#port,
      clock: systemClock,
      random: Math.random,
      isOurs: () => false,
      verify: async (raw) => verifyEvent(JSON.parse(raw) as SignedEvent),
      software: { name: 'outside', version: '1' },
    });
    const { port, url } = await relay.start();
    this.#relay = relay;
    this.#port = port;
    this.url = url;
    return this;
  }

  async stop(): Promise<void> {
    await this.#relay?.close();
    this.#relay = null;
  }
}
