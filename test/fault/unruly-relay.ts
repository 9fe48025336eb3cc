/**
 * A relay as bad as they come: it delays and so reorders what it delivers, delivers some of it twice and some not at all,
 * keeps everything and sends it again to whoever subscribes again, and lies: before the true event it may deliver its id
 * with a false signature, and the signed event under a forged id. It can be stopped, started, and left half open.
 */
import { randomBytes } from 'node:crypto';
import type { WebSocket } from 'ws';
import { type Filter, wants } from '../support/broadcast-relay.ts';
import type { SignedEvent } from '../support/clients.ts';
import { SocketServer } from '../support/socket-server.ts';

export interface Manners {
  /** ms at most */
  delay: number;
  /** Of deliveries, from 0 to 1. */
  duplicated: number;
  dropped: number;
  liedAbout: number;
}

/** Events that it sends again, the newest ones. */
const KEPT = 200;

export class UnrulyRelay extends SocketServer {
  manners: Manners;
  readonly #kept: SignedEvent[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(manners: Manners) {
    super();
    this.manners = manners;
  }

  /** On the port of the first time. */
  async start(): Promise<this> {
    const subscriptions = new Map<WebSocket, Map<string, Filter[]>>();
    await this.listen((socket) => {
      const own = new Map<string, Filter[]>();
      subscriptions.set(socket, own);
      socket.on('close', () => subscriptions.delete(socket));
      socket.on('error', () => {});
      socket.on('message', (data) => {
        const [type, given, ...rest] = JSON.parse(String(data));
        if (type === 'CLOSE') own.delete(given);
        else if (type === 'REQ') {
          own.set(given, rest);
          for (const event of this.#kept) if (isWanted(rest, event)) this.#deliver(socket, given, event);
          socket.send(JSON.stringify(['EOSE', given]));
        } else if (type === 'EVENT') {
          this.#kept.push(given);
          if (this.#kept.length > KEPT) this.#kept.shift();
          this.#later(() => socket.send(JSON.stringify(['OK', given.id, true, ''])));
          for (const [to, filters] of subscriptions) {
            for (const [id, list] of filters) if (isWanted(list, given)) this.#deliver(to, id, given);
          }
        }
      });
    });
    return this;
  }

  override async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    await super.stop();
  }

  /** Connections stay, and nothing is read from them any more, not even a ping. */
  freeze(): void {
    for (const socket of this.clients) socket.pause();
  }

  /** Ends every connection. */
  hangUp(): void {
    for (const socket of this.clients) socket.terminate();
  }

  #deliver(socket: WebSocket, subscription: string, event: SignedEvent): void {
    const { duplicated, dropped, liedAbout } = this.manners;
    const send = (what: SignedEvent) => {
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(['EVENT', subscription, what]));
    };
    if (Math.random() < dropped) return;
    if (Math.random() < liedAbout) {
      send({ ...event, sig: randomBytes(64).toString('hex') });
      send({ ...event, id: randomBytes(32).toString('hex') });
    }
    this.#later(() => send(event));
    if (Math.random() < duplicated) this.#later(() => send(event));
  }

  #later(work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, Math.random() * this.manners.delay);
    this.#timers.add(timer);
  }
}

const isWanted = (filters: Filter[], event: SignedEvent) => filters.some((filter) => wants(filter, event));
