import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '../actor/clock.ts';
import { RelayCounts } from './counts.ts';
import { EmbeddedConnection, type EmbeddedDoor, type EmbeddedSubscription } from './embedded-connection.ts';
import { DEFAULT_EMBEDDED_LIMITS, type EmbeddedLimits } from './embedded-limits.ts';
import { frameLimit } from './frame.ts';
import { HandledIds } from './handled.ts';
import type { WireEvent } from './head.ts';
import { informationDocument } from './nip11.ts';
import type { EventHead, Incoming } from './protocol.ts';
import { Shares } from './shares.ts';
import { SubscriptionIndex } from './subscription-index.ts';
import { ADMIN_KIND, CLIENT_KIND } from './subscriptions.ts';
import { Verdicts } from './verdicts.ts';

export interface EmbeddedRelayOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** 0: any free one. */
  port: number;
  clock: Clock;
  /** From 0 to 1. */
  random: () => number;
  /** Is this one of our keys, or the daemon's own? Events for it are the daemon's to verify. */
  isOurs: (pubkey: string) => boolean;
  /** Verifies an event that is for somebody else, off the main thread. */
  verify: (raw: string) => Promise<boolean>;
  software: { name: string; version: string };
  counts?: RelayCounts;
  limits?: Partial<EmbeddedLimits>;
}

/** NIP-01's prefix for an event that is gone without a reader: as a rule it is for a key that is locked, or that is not here. */
const UNHEARD = 'mute: nobody listens for this event here';

/**
 * A NIP-01 relay for kinds 24133 and 24134 that stores nothing, inside the daemon (docs/RELAYS.md). The daemon itself
 * subscribes and publishes without a socket.
 */
export class EmbeddedRelay {
  readonly counts: RelayCounts;
  readonly #options: EmbeddedRelayOptions;
  readonly #limits: EmbeddedLimits;
  readonly #index: SubscriptionIndex<EmbeddedSubscription>;
  readonly #duplicates: HandledIds;
  readonly #shares: Shares;
  readonly #verdicts: Verdicts;
  readonly #door: EmbeddedDoor;
  readonly #webSockets: WebSocketServer;
  /** Sockets that are no WebSocket yet, the oldest first. */
  readonly #handshakes = new Set<Duplex>();
  #verifying = 0;
  #server: Server | null = null;
  #url: string | null = null;
  #timer: NodeJS.Timeout | undefined;
  #pingAt = 0;
  #handler: (incoming: Incoming) => void = () => {};

  constructor(options: EmbeddedRelayOptions) {
    const { clock, random } = options;
    this.#options = options;
    const limits = { ...DEFAULT_EMBEDDED_LIMITS, ...options.limits };
    this.#limits = limits;
    this.counts = options.counts ?? new RelayCounts();
    this.#shares = new Shares(limits);
    this.#index = new SubscriptionIndex(limits.skew);
    this.#duplicates = new HandledIds({ windowMs: limits.duplicateMs, maxIds: limits.duplicates, random });
    this.#verdicts = new Verdicts(limits.verdicts, limits.verdictMs);
    this.#door = {
      clock,
      limits,
      counts: this.counts,
      index: this.#index,
      shares: this.#shares,
      received: (event, from) => this.#received(event, from),
    };
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      // A frame over the limit is answered; one that is far over it ends the connection.
      maxPayload: frameLimit(limits.maxContent) * 2,
    });
  }

  /** Null until it listens. */
  get url(): string | null {
    return this.#url;
  }

  get connections(): number {
    return this.#shares.connections.size;
  }

  /** The daemon's own subscription: events for which `isOurs` holds. Each must get its verdict. */
  onEvent(handler: (incoming: Incoming) => void): void {
    this.#handler = handler;
  }

  /** @returns the address it listens on @throws Error in one line, when it cannot */
  async start(): Promise<{ host: string; port: number; url: string }> {
    const host = this.#options.host ?? '127.0.0.1';
    const server = createServer((request, response) => this.#answerHttp(request, response));
    server.on('connection', (socket) => this.#handshake(socket));
    server.headersTimeout = 10_000;
    server.requestTimeout = 10_000;
    server.keepAliveTimeout = 2_000;
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    await listen(server, host, this.#options.port);
    this.#server = server;
    this.#timer = setInterval(() => this.#tick(), this.#limits.tickMs);
    this.#pingAt = this.#options.clock.mono() + this.#limits.pingMs;
    const { port } = server.address() as AddressInfo;
    this.#url = `ws://${dialled(host)}:${port}`;
    return { host, port, url: this.#url };
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    const server = this.#server;
    this.#server = null;
    this.#url = null;
    if (server === null) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    for (const connection of this.#shares.connections) connection.close(1001, 'the relay is stopping');
    const impatience = setTimeout(() => {
      for (const connection of this.#shares.connections) connection.terminate();
    }, 250);
    await closed;
    clearTimeout(impatience);
  }

  /** Delivers an event that the daemon signed, unverified. @returns how many subscriptions got it */
  inject(raw: string, head: EventHead): number {
    this.counts.add('embedded: injected');
    this.#duplicates.remember(head.id, this.#options.clock.mono());
    // Parsing is saved: nearly nobody asks for other tags than `p`.
    const tags = this.#index.asksForOtherTags ? (JSON.parse(raw) as { tags: string[][] }).tags : [['p', head.p]];
    return this.#deliver({ head, raw, tags });
  }

  #received(event: WireEvent, from: EmbeddedConnection): void {
    const { head } = event;
    this.counts.add('embedded: events');
    if (head.kind !== CLIENT_KIND && head.kind !== ADMIN_KIND) {
      this.counts.add('embedded: dropped: kind');
      from.ok(head.id, false, `blocked: this relay carries kinds ${CLIENT_KIND} and ${ADMIN_KIND} only`);
      return;
    }
    if (event.tags.length > this.#limits.maxTags) {
      this.counts.add('embedded: dropped: malformed');
      from.ok(head.id, false, `invalid: more than ${this.#limits.maxTags} tags`);
      return;
    }
    if (this.#duplicates.has(head.id)) {
      this.#duplicate(head, from);
      return;
    }
    if (this.#options.isOurs(head.p)) this.#hand(event, from);
    else void this.#verify(event, from);
  }

  /** To the daemon. Its key actor verifies the event in any case: its word is waited for. */
  #hand(event: WireEvent, from: EmbeddedConnection): void {
    const { head, raw } = event;
    const arrived = this.#options.clock.mono();
    const verdict = this.#verdicts.open(arrived, (ok, reason) => this.#judged(event, from, ok, reason));
    if (verdict === null) {
      this.#busy(head, from);
      return;
    }
    this.#handler({ head, raw, from: 'embedded', arrived, verdict });
  }

  #judged(event: WireEvent, from: EmbeddedConnection, ok: boolean | 'late', reason: string): void {
    if (ok === 'late') {
      this.#busy(event.head, from);
      return;
    }
    // The daemon knew the id from elsewhere and has not looked at this copy.
    if (reason.startsWith('duplicate:')) {
      this.#duplicate(event.head, from);
      return;
    }
    if (!ok) {
      this.#refused(event.head, from, reason);
      return;
    }
    from.proven = true;
    this.#accepted(event, from, true);
  }

  async #verify(event: WireEvent, from: EmbeddedConnection): Promise<void> {
    if (this.#verifying >= this.#limits.verifying) {
      this.counts.add('embedded: dropped: busy');
      return from.ok(event.head.id, false, 'rate-limited: too many events are being verified, try again');
    }
    this.#verifying++;
    const genuine = await this.#options.verify(event.raw).catch(() => null);
    this.#verifying--;
    if (genuine === null) this.#busy(event.head, from);
    else if (genuine) this.#accepted(event, from, false);
    else this.#refused(event.head, from, '');
  }

  /** Verified, by us or by the daemon, which has heard it then. */
  #accepted(event: WireEvent, from: EmbeddedConnection, byDaemon: boolean): void {
    // A copy may have been verified at the same time.
    if (this.#duplicates.has(event.head.id)) {
      this.#duplicate(event.head, from);
      return;
    }
    const subscriptions = this.#index.match(event);
    if (subscriptions.size === 0 && !byDaemon) {
      // Not remembered: sent once more, as after its key was unlocked, it is heard.
      this.counts.add('embedded: nobody listened');
      from.ok(event.head.id, true, UNHEARD);
      return;
    }
    this.#duplicates.remember(event.head.id, this.#options.clock.mono());
    from.ok(event.head.id, true, '');
    this.#deliver(event, subscriptions);
  }

  #refused(head: EventHead, from: EmbeddedConnection, reason: string): void {
    if (reason.startsWith('rate-limited:')) this.counts.add('embedded: dropped: rate');
    else if (reason.startsWith('error:')) this.counts.add('embedded: dropped: busy');
    else this.counts.add('embedded: dropped: signature');
    from.ok(head.id, false, reason || 'invalid: id or signature does not hold');
  }

  #duplicate(head: EventHead, from: EmbeddedConnection): void {
    this.counts.add('embedded: dropped: duplicate');
    from.ok(head.id, true, 'duplicate: already have this event');
  }

  #busy(head: EventHead, from: EmbeddedConnection): void {
    this.counts.add('embedded: dropped: busy');
    from.ok(head.id, false, 'error: busy, try again');
  }

  #deliver(event: WireEvent, subscriptions = this.#index.match(event)): number {
    const once = subscriptions.size * event.raw.length > this.#limits.fanOut ? new Set<EmbeddedConnection>() : null;
    for (const { connection, id } of subscriptions) {
      if (once?.has(connection)) continue;
      once?.add(connection);
      this.counts.add('embedded: delivered');
      connection.deliver(id, event.raw);
    }
    return subscriptions.size;
  }

  #tick(): void {
    const now = this.#options.clock.mono();
    this.#verdicts.expire(now);
    if (now < this.#pingAt) return;
    this.#pingAt = now + this.#limits.pingMs;
    for (const connection of this.#shares.connections) {
      if (!connection.ping()) this.counts.add('embedded: closed for silence');
    }
  }

  /** Sockets that say nothing do not keep out those that come after them. */
  #handshake(socket: Duplex): void {
    this.#handshakes.add(socket);
    socket.once('close', () => this.#handshakes.delete(socket));
    if (this.#handshakes.size <= this.#limits.handshakes) return;
    const [oldest] = this.#handshakes;
    oldest?.destroy();
    this.#handshakes.delete(oldest!);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#server === null || !this.#shares.makePlace()) {
      this.counts.add('embedded: connections refused');
      socket.on('error', () => socket.destroy());
      socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (ws: WebSocket) => {
      this.#handshakes.delete(socket);
      this.counts.add('embedded: connections');
      new EmbeddedConnection(this.#door, ws, socket);
    });
  }

  #answerHttp(request: IncomingMessage, response: ServerResponse): void {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Allow-Headers', '*');
    response.setHeader('Access-Control-Allow-Methods', 'GET');
    if (request.method === 'OPTIONS') return void response.writeHead(204).end();
    if (request.method === 'GET' && request.headers.accept?.includes('application/nostr+json')) {
      response.setHeader('Content-Type', 'application/nostr+json');
      response.end(informationDocument(this.#limits, this.#options.software));
      return;
    }
    response.writeHead(426, { 'Content-Type': 'text/plain', Upgrade: 'websocket' });
    response.end('This is a Nostr relay: connect with a WebSocket, or ask for application/nostr+json.\n');
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'another program listens there' : (error.code ?? 'it failed');
      const message = `embedded relay: cannot listen on ${host}:${port}: ${why}; choose another address or port`;
      reject(Object.assign(new Error(message), { code: error.code, syscall: error.syscall }));
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      server.on('error', () => {});
      resolve();
    });
  });
}

/** The host by which a client on this machine reaches it. */
function dialled(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
