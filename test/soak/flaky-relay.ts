/** Stands before a relay: goes down and comes back at the same address, and meanwhile loses, repeats or delays events. */
import { WebSocket } from 'ws';
import { SocketServer } from '../support/socket-server.ts';
import type { Seeded } from './seeded.ts';

export type Mood = 'well' | 'dropping' | 'duplicating' | 'slow';

const LOST = 0.3;
const DELAY_MS = 400;

export class FlakyRelay extends SocketServer {
  mood: Mood = 'well';
  /** Events that it has lost, repeated and delayed. */
  readonly counts = { dropped: 0, duplicated: 0, delayed: 0 };
  readonly #upstream: string;
  readonly #random: Seeded;
  constructor(upstream: string, random: Seeded) {
    super();
    this.#upstream = upstream;
    this.#random = random;
  }

  /** On the port of the first time. */
  async start(): Promise<this> {
    await this.listen((near) => {
      const far = new WebSocket(this.#upstream);
      const early: string[] = [];
      far.on('open', () => {
        for (const frame of early.splice(0)) far.send(frame);
      });
      near.on('message', (data) => {
        this.#pass(String(data), (frame) => {
          if (far.readyState === far.CONNECTING) early.push(frame);
          else far.send(frame);
        });
      });
      far.on('message', (data) => this.#pass(String(data), (frame) => near.send(frame)));
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        one.on('error', () => {});
        one.on('close', () => other.terminate());
      }
    });
    return this;
  }

  /** Only events: a relay that loses what it says about them has broken its connection, which is another fault. */
  #pass(frame: string, send: (frame: string) => void): void {
    if (this.mood === 'well' || !frame.startsWith('["EVENT"')) return send(frame);
    if (this.mood === 'dropping' && this.#random.chance(LOST)) {
      this.counts.dropped++;
      return;
    }
    if (this.mood === 'slow') {
      this.counts.delayed++;
      setTimeout(send, DELAY_MS, frame);
      return;
    }
    send(frame);
    if (this.mood === 'duplicating') {
      this.counts.duplicated++;
      send(frame);
    }
  }
}
