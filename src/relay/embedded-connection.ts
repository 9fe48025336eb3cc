import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Clock } from '../actor/clock.ts';
import { Bucket } from './bucket.ts';
import { CorkedSocket } from './corked.ts';
import type { RelayCount, RelayCounts } from './counts.ts';
import type { EmbeddedLimits } from './embedded-limits.ts';
import { isOpen, type LiveFilter, readFilter } from './filter.ts';
import { type ClientFrame, type RefusedFrame, readClientFrame } from './frame.ts';
import type { WireEvent } from './head.ts';
import type { Shares } from './shares.ts';
import type { SubscriptionIndex } from './subscription-index.ts';

/** One subscription of one client. */
export interface EmbeddedSubscription {
  connection: EmbeddedConnection;
  /** Its id as a JSON string, as it is written before every event. */
  id: string;
  values: number;
  bytes: number;
  open: number;
}

/** What a connection needs of its relay. */
export interface EmbeddedDoor {
  readonly clock: Clock;
  readonly limits: EmbeddedLimits;
  readonly counts: RelayCounts;
  readonly index: SubscriptionIndex<EmbeddedSubscription>;
  readonly shares: Shares;
  received(event: WireEvent, from: EmbeddedConnection): void;
}

/** One client of the embedded relay: its rates, its subscriptions, and what waits to be read by it. */
export class EmbeddedConnection {
  readonly #door: EmbeddedDoor;
  readonly #ws: WebSocket;
  readonly #corked: CorkedSocket;
  readonly #subscriptions = new Map<string, EmbeddedSubscription>();
  readonly #frames: Bucket;
  readonly #bytes: Bucket;
  readonly #slowBytes: Bucket;
  #refusedInRow = 0;
  #values = 0;
  #filterBytes = 0;
  #openFilters = 0;
  #alive = true;
  /** An event of its own was for one of our keys, and good. */
  proven = false;

  /** @param socket the connection beneath `ws` */
  constructor(door: EmbeddedDoor, ws: WebSocket, socket: Duplex) {
    const { limits, clock } = door;
    this.#door = door;
    this.#ws = ws;
    this.#corked = new CorkedSocket(ws, socket, limits.maxBuffered);
    this.#frames = new Bucket(limits.framesPerSecond, limits.frameBurst, clock.mono());
    this.#bytes = new Bucket(limits.bytesPerSecond, limits.byteBurst, clock.mono());
    this.#slowBytes = new Bucket(limits.slowBytesPerSecond, limits.slowByteBurst, clock.mono());
    ws.on('message', (data, isBinary) => {
      this.#alive = true;
      if (isBinary) this.notice('invalid: binary messages are not understood');
      else this.#received(data as Buffer);
    });
    ws.on('pong', () => {
      this.#alive = true;
    });
    // ws closes after an error, a frame over maxPayload among them.
    ws.on('error', () => {});
    ws.on('close', () => this.#left());
    door.shares.joined(this);
  }

  get listens(): boolean {
    return this.#subscriptions.size > 0;
  }

  /** Bytes that wait to be read by it. */
  get buffered(): number {
    return this.#corked.buffered;
  }

  /** Memory that its filters take, bytes. */
  get filterBytes(): number {
    return this.#filterBytes;
  }

  ok(id: string, ok: boolean, reason: string): void {
    this.#send(`["OK",${JSON.stringify(id)},${ok},${JSON.stringify(reason)}]`);
  }

  notice(text: string): void {
    this.#send(`["NOTICE",${JSON.stringify(text)}]`);
  }

  /** @param subscription as a JSON string @param raw the event's JSON */
  deliver(subscription: string, raw: string): void {
    this.#send(`["EVENT",${subscription},${raw}]`);
  }

  /** @returns false when the client has not answered the last ping, and was put out */
  ping(): boolean {
    if (!this.#alive) {
      this.#ws.terminate();
      return false;
    }
    this.#alive = false;
    if (this.#ws.readyState === this.#ws.OPEN) this.#ws.ping();
    return true;
  }

  close(code: number, reason: string): void {
    this.#ws.close(code, reason);
  }

  terminate(): void {
    this.#ws.terminate();
  }

  /** Ends it for the others' sake: what it held of what all share is free when this returns. */
  putOut(why: RelayCount): void {
    this.#door.counts.add(why);
    this.#left();
    this.#ws.terminate();
  }

  #left(): void {
    for (const id of this.#subscriptions.keys()) this.#unsubscribe(id);
    this.#door.shares.left(this);
  }

  #send(frame: string): void {
    this.#door.shares.sent(frame.length);
    if (this.#corked.send(frame)) return;
    this.#door.counts.add('embedded: closed for not reading');
    this.#ws.terminate();
  }

  #received(data: Buffer): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    const now = this.#door.clock.mono();
    // Whether a frame is slow is known once it is parsed: until it is paid back no other one is.
    if (!this.#frames.take(1, now) || !this.#bytes.take(data.length, now) || !this.#slowBytes.take(0, now)) {
      this.#overRate(data);
      return;
    }
    this.#refusedInRow = 0;
    const frame = readClientFrame(data, this.#door.limits.maxContent);
    if (this.#wasSlow(frame)) this.#slowBytes.charge(data.length, now);
    switch (frame.type) {
      case 'EVENT':
        this.#door.received(frame.event, this);
        return;
      case 'REQ':
        this.#subscribe(frame.subscription, frame.filters);
        return;
      case 'CLOSE':
        this.#unsubscribe(frame.subscription);
        return;
      case 'refused':
        this.#refused(frame);
        return;
      default:
        frame satisfies never;
    }
  }

  #wasSlow(frame: ClientFrame): boolean {
    if (frame.type !== 'EVENT') return true;
    let strings = 0;
    for (const tag of frame.event.tags) strings += tag.length + 1;
    return strings > this.#door.limits.fewTagStrings;
  }

  #refused({ refusal, reason, id }: RefusedFrame): void {
    this.#door.counts.add(refusal === 'too large' ? 'embedded: dropped: too large' : 'embedded: dropped: malformed');
    if (id === null) this.notice(`invalid: ${reason}`);
    else this.ok(id, false, `invalid: ${reason}`);
  }

  /** Answered from the frame's ends, which are not parsed: parsing is what the rate protects. */
  #overRate(data: Buffer): void {
    this.#door.counts.add('embedded: dropped: rate');
    if (++this.#refusedInRow > this.#door.limits.refusedInRow) {
      this.#door.counts.add('embedded: closed for flooding');
      this.close(1008, 'too many messages');
      return;
    }
    const start = data.toString('latin1', 0, 2048);
    const ends = `${start} ${data.toString('latin1', Math.max(2048, data.length - 2048))}`;
    const id = start.startsWith('["EVENT"') ? /"id"\s*:\s*"([0-9a-f]{64})"/.exec(ends)?.[1] : undefined;
    const subscription = /^\["REQ"\s*,\s*("[\x20-\x21\x23-\x5b\x5d-\x7e]{1,64}")/.exec(start)?.[1];
    if (id !== undefined) this.ok(id, false, 'rate-limited: too many messages on this connection, slow down');
    else if (subscription !== undefined) this.#send(`["CLOSED",${subscription},"rate-limited: slow down"]`);
    else this.notice('rate-limited: too many messages on this connection, slow down');
  }

  #subscribe(id: string, list: unknown[]): void {
    const { limits, index, counts, shares } = this.#door;
    this.#unsubscribe(id);
    const filters = readFilters(list, limits);
    if (typeof filters === 'string') {
      this.#refuseSubscription(id, `invalid: ${filters}`);
      return;
    }
    const values = filters.reduce((sum, filter) => sum + filter.values, 0);
    const bytes = filters.reduce((sum, filter) => sum + filter.bytes, 0);
    if (this.#subscriptions.size >= limits.subscriptions) {
      this.#refuseSubscription(id, `error: more than ${limits.subscriptions} subscriptions on one connection`);
      return;
    }
    if (this.#values + values > limits.filterValues) {
      this.#refuseSubscription(id, `error: more than ${limits.filterValues} filter values on one connection`);
      return;
    }
    const open = filters.filter(isOpen).length;
    if (this.#openFilters + open > limits.openFilters) {
      const reason = `error: more than ${limits.openFilters} filters without ids, authors or tags on one connection`;
      this.#refuseSubscription(id, reason);
      return;
    }
    if (this.#filterBytes + bytes > limits.filterBytes) {
      this.#refuseSubscription(id, `error: the filters of one connection take more than ${limits.filterBytes} bytes`);
      return;
    }
    if (!shares.takeFilters(this, bytes)) {
      this.#refuseSubscription(id, 'error: the filters of all connections take too much memory, ask for less or later');
      return;
    }
    const subscription: EmbeddedSubscription = { connection: this, id: JSON.stringify(id), values, bytes, open };
    this.#subscriptions.set(id, subscription);
    this.#values += values;
    this.#filterBytes += bytes;
    this.#openFilters += open;
    index.add(subscription, filters);
    counts.add('embedded: subscriptions');
    // Nothing is stored: all that there is has been sent.
    this.#send(`["EOSE",${subscription.id}]`);
  }

  #refuseSubscription(id: string, reason: string): void {
    this.#door.counts.add('embedded: refused subscriptions');
    this.#send(`["CLOSED",${JSON.stringify(id)},${JSON.stringify(reason)}]`);
  }

  #unsubscribe(id: string): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return;
    this.#subscriptions.delete(id);
    this.#values -= subscription.values;
    this.#filterBytes -= subscription.bytes;
    this.#openFilters -= subscription.open;
    this.#door.shares.returnFilters(subscription.bytes);
    this.#door.index.remove(subscription);
  }
}

function readFilters(list: unknown[], limits: EmbeddedLimits): LiveFilter[] | string {
  if (list.length === 0) return 'a REQ needs a filter';
  if (list.length > limits.filters) return `more than ${limits.filters} filters in a REQ`;
  const filters: LiveFilter[] = [];
  for (const item of list) {
    const filter = readFilter(item, limits.tagValue);
    if (typeof filter === 'string') return filter;
    filters.push(filter);
  }
  return filters;
}
