import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

/** A turn may add this many times the limit before the other side has had a chance to read any of it. */
const ONE_TURN = 4;

/** Frames sent to one socket in one turn of the event loop leave as one write. */
export class CorkedSocket {
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #maxBuffered: number;
  #corked = false;

  /** @param socket the connection beneath `ws` @param maxBuffered bytes that may wait for a side that does not read */
  constructor(ws: WebSocket, socket: Duplex, maxBuffered: number) {
    this.#ws = ws;
    this.#socket = socket;
    this.#maxBuffered = maxBuffered;
  }

  /** Bytes that wait to be taken by the network. */
  get buffered(): number {
    return this.#ws.bufferedAmount;
  }

  /** @returns false when the other side does not read, and the connection should be ended */
  send(frame: string): boolean {
    if (this.#ws.readyState !== this.#ws.OPEN) return true;
    // What this turn has written had no chance to leave yet: the measure is what earlier turns have left behind.
    if (this.buffered > this.#maxBuffered * (this.#corked ? ONE_TURN : 1)) return false;
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      setImmediate(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#ws.send(frame);
    return true;
  }
}
