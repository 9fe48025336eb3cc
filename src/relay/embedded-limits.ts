import { DEFAULT_MAX_CONTENT } from './head.ts';

/** Bounds of the embedded relay; docs/RELAYS.md says why each is what it is. Times in ms. */
export const DEFAULT_EMBEDDED_LIMITS = {
  /** bytes */
  maxContent: DEFAULT_MAX_CONTENT,
  maxTags: 500,
  connections: 1024,
  /** Sockets that have not become one of these yet. */
  handshakes: 64,
  /** Each connection. */
  subscriptions: 512,
  filters: 10,
  /** Values of all filters of one connection. */
  filterValues: 20_000,
  /** Filters of one connection that name no id, author or tag, and so match nearly every event. */
  openFilters: 16,
  /** Characters of one value of a tag in a filter: `#a` and `#d` may be long. */
  tagValue: 1024,
  /** Memory that all filters of one connection take, roughly, and those of all connections together, bytes. */
  filterBytes: 8 * 1024 * 1024,
  allFilterBytes: 32 * 1024 * 1024,
  framesPerSecond: 5_000,
  frameBurst: 10_000,
  bytesPerSecond: 16 * 1024 * 1024,
  byteBurst: 64 * 1024 * 1024,
  /** Of frames that take JSON.parse long for their size: REQ, CLOSE, what turns out to be no event, and many tags. */
  slowBytesPerSecond: 512 * 1024,
  slowByteBurst: 2 * 1024 * 1024,
  /** Tags of an event, and strings in them, that do not make it slow. */
  fewTagStrings: 64,
  /** Frames over the rate, in a row, after which the connection is closed. */
  refusedInRow: 2_000,
  /** Bytes that may wait for a client that does not read. */
  maxBuffered: 8 * 1024 * 1024,
  /** Bytes that may wait for all clients together. */
  allBuffered: 64 * 1024 * 1024,
  /** Characters that one event may become, over all subscriptions; beyond, each connection gets it once. */
  fanOut: 16 * 1024 * 1024,
  /** A ping this often; a client that did not answer the last one is gone. */
  pingMs: 25_000,
  tickMs: 1_000,
  /** How long the daemon has to say whether an event for it is genuine. */
  verdictMs: 10_000,
  verdicts: 8_192,
  /** Events for others that are being verified at once. */
  verifying: 64,
  /** Ids that are known as duplicates: how many, and for how long. */
  duplicates: 65_536,
  duplicateMs: 120_000,
  /** Seconds that a client's clock may be ahead, for `since`. */
  skew: 600,
};

export type EmbeddedLimits = typeof DEFAULT_EMBEDDED_LIMITS;
