import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { CorkedSocket } from './corked.ts';

export interface SocketLimits {
  /** Largest frame that is taken at all, bytes; a larger one ends the connection. */
  maxPayload: number;
  /** Bytes that may wait for a relay that does not read. */
  maxBuffered: number;
  /** ms */
  connectMs: number;
  /** A ping this often, and an answer within as long, ms. */
  pingMs: number;
  /** Finds the addresses of the relay's name; the system's own way when left out. */
  lookup?: LookupFunction | undefined;
}

export interface SocketListener {
  opened(): void;
  text(data: Buffer): void;
  /** Last call, once, whatever ended it. */
  closed(reason: string): void;
}

/** One connection to one relay. It has no timer of its own: its owner calls `tick`. */
export class OutsideSocket {
  readonly #ws: WebSocket;
  readonly #limits: SocketLimits;
  #listener: SocketListener | null;
  #corked: CorkedSocket | null = null;
  #reason = '';
  #pinged: number | null = null;
  #quietSince: number;

  /** @param now monotonic ms @throws SyntaxError when ws refuses the URL */
  constructor(url: string, limits: SocketLimits, listener: SocketListener, now: number) {
    this.#limits = limits;
    this.#listener = listener;
    this.#quietSince = now;
    let socket: Duplex | undefined;
    this.#ws = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: limits.maxPayload,
      handshakeTimeout: limits.connectMs,
      followRedirects: false,
      ...(limits.lookup !== undefined && { lookup: limits.lookup }),
    });
    this.#ws.on('upgrade', (response) => {
      socket = response.socket;
    });
    this.#ws.on('open', () => {
      this.#corked = new CorkedSocket(this.#ws, socket!, limits.maxBuffered);
      this.#listener?.opened();
    });
    this.#ws.on('message', (data, isBinary) => {
      this.#pinged = null;
      // NIP-01 knows text frames only.
      if (!isBinary) this.#listener?.text(data as Buffer);
    });
    this.#ws.on('pong', () => {
      this.#pinged = null;
    });
    this.#ws.on('ping', () => {
      this.#pinged = null;
    });
    this.#ws.on('error', (error) => {
      this.#reason ||= error.message || (error as NodeJS.ErrnoException).code || 'connection failed';
    });
    this.#ws.on('close', (code, text) => this.#ended(this.#reason || `closed by the relay (${code}) ${text}`.trim()));
  }

  /** May more be sent, or does the relay not keep up? */
  get drained(): boolean {
    return (this.#corked?.buffered ?? 0) < this.#limits.maxBuffered / 2;
  }

  send(frame: string): void {
    if (this.#corked?.send(frame) === false) this.terminate('the relay does not read');
  }

  /** Pings, and ends a connection that has shown no life since the last ping. @returns false when it was dead */
  tick(now: number): boolean {
    if (this.#ws.readyState !== WebSocket.OPEN || now - this.#quietSince < this.#limits.pingMs) return true;
    if (this.#pinged !== null) {
      this.terminate(`no answer to a ping in ${Math.round(now - this.#pinged)} ms`);
      return false;
    }
    this.#quietSince = now;
    this.#pinged = now;
    this.#ws.ping();
    return true;
  }

  /** Ends the connection at once; the listener hears the reason before this returns. */
  terminate(reason: string): void {
    this.#ended(reason);
    this.#ws.terminate();
  }

  /** Ends the connection in good order; the listener hears nothing more. */
  close(): void {
    this.#listener = null;
    if (this.#ws.readyState !== WebSocket.OPEN) {
      this.#ws.terminate();
      return;
    }
    this.#ws.close(1000);
    const impatience = setTimeout(() => this.#ws.terminate(), 500);
    this.#ws.on('close', () => clearTimeout(impatience));
  }

  #ended(reason: string): void {
    const listener = this.#listener;
    this.#listener = null;
    listener?.closed(reason);
  }
}
