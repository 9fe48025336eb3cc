/** Stands before a relay: goes down and comes back at the same address, and meanwhile loses, repeats or delays events. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { Seeded } from './seeded.ts';

export type Mood = 'well' | 'dropping' | 'duplicating' | 'slow';

const LOST = 0.3;
const DELAY_MS = 400;

export class FlakyRelay {
  mood: Mood = 'well';
  /** Events that it has lost, repeated and delayed. */
  readonly counts = { dropped: 0, duplicated: 0, delayed: 0 };
  readonly #upstream: string;
  readonly #random: Seeded;
  #server: WebSocketServer | null = null;
  #port = 0;

  constructor(upstream: string, random: Seeded) {
    this.#upstream = upstream;
    this.#random = random;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#port}`;
  }

  /** On the port of the first time. */
  async start(): Promise<this> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: this.#port });
    await once(server, 'listening');
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    server.on('connection', (near) => {
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

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    for (const socket of server.clients) socket.terminate();
    server.close();
    await once(server, 'close');
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
