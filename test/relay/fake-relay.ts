import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export type Frame = [type: string, ...rest: unknown[]];

export interface Script {
  /** What it says first. */
  onConnect?: (peer: Peer, relay: FakeRelay) => void;
  /** Answers a frame; the default is a good relay that stores nothing. */
  onFrame?: (frame: Frame, peer: Peer, relay: FakeRelay) => void;
  /** Does it answer pings? */
  autoPong?: boolean;
  port?: number;
}

/** One connection as the fake relay sees it. */
export interface Peer {
  send(frame: Frame | string): void;
  drop(): void;
  subscriptions: Map<string, { [name: string]: unknown }[]>;
}

/** A relay that does what a test tells it to, on a real socket. */
export class FakeRelay {
  readonly peers = new Set<Peer>();
  /** All frames that ever came, of all connections. */
  readonly frames: Frame[] = [];
  connections = 0;
  script: Script;
  readonly #server: WebSocketServer;

  private constructor(script: Script, server: WebSocketServer) {
    this.script = script;
    this.#server = server;
    server.on('connection', (ws: WebSocket) => this.#accept(ws));
  }

  static async start(script: Script = {}): Promise<FakeRelay> {
    const { autoPong = true, port = 0 } = script;
    const server = new WebSocketServer({ host: '127.0.0.1', port, autoPong });
    await new Promise((resolve) => server.once('listening', resolve));
    return new FakeRelay(script, server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  framesOf(type: string): Frame[] {
    return this.frames.filter((frame) => frame[0] === type);
  }

  dropAll(): void {
    for (const peer of this.peers) peer.drop();
  }

  /** Sends an event on every subscription of every connection that has this id. */
  emit(subscription: string, raw: string): void {
    for (const peer of this.peers) {
      if (peer.subscriptions.has(subscription)) peer.send(`["EVENT",${JSON.stringify(subscription)},${raw}]`);
    }
  }

  async stop(): Promise<void> {
    const stopped = new Promise((resolve) => this.#server.close(resolve));
    for (const client of this.#server.clients) client.terminate();
    await stopped;
  }

  #accept(ws: WebSocket): void {
    this.connections++;
    const peer: Peer = {
      send: (frame) => ws.send(typeof frame === 'string' ? frame : JSON.stringify(frame)),
      drop: () => ws.terminate(),
      subscriptions: new Map(),
    };
    this.peers.add(peer);
    this.script.onConnect?.(peer, this);
    ws.on('close', () => this.peers.delete(peer));
    ws.on('error', () => {});
    ws.on('message', (data) => {
      const frame = JSON.parse(String(data)) as Frame;
      this.frames.push(frame);
      if (frame[0] === 'REQ') peer.subscriptions.set(frame[1] as string, frame.slice(2) as []);
      if (frame[0] === 'CLOSE') peer.subscriptions.delete(frame[1] as string);
      (this.script.onFrame ?? goodRelay)(frame, peer, this);
    });
  }
}

/** EOSE at once, OK to everything, and events sent on to whom asked for that recipient. */
export function goodRelay(frame: Frame, peer: Peer, relay: FakeRelay): void {
  if (frame[0] === 'REQ') peer.send(['EOSE', frame[1]]);
  if (frame[0] !== 'EVENT') return;
  const event = frame[1] as { id: string; tags: string[][] };
  peer.send(['OK', event.id, true, '']);
  for (const other of relay.peers) {
    for (const [id, filters] of other.subscriptions) {
      const wanted = filters.some((filter) => (filter['#p'] as string[]).includes(event.tags[0]?.[1] ?? ''));
      if (wanted) other.send(['EVENT', id, event]);
    }
  }
}
