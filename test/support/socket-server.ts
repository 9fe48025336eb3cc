/** A server of WebSockets that can be stopped and started again at the same address. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export class SocketServer {
  #server: WebSocketServer | undefined;
  #port = 0;

  get url(): string {
    return `ws://127.0.0.1:${this.#port}`;
  }

  get clients(): Iterable<WebSocket> {
    return this.#server?.clients ?? [];
  }

  /** On the port of the first time. */
  async listen(connected: (socket: WebSocket) => void): Promise<void> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: this.#port });
    await once(server, 'listening');
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    server.on('connection', connected);
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    for (const socket of server.clients) socket.terminate();
    server.close();
    await once(server, 'close');
  }
}
