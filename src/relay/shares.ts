import type { EmbeddedConnection } from './embedded-connection.ts';
import type { EmbeddedLimits } from './embedded-limits.ts';

/**
 * What the connections of the embedded relay share. Where it runs out, the connection that holds the most gives way:
 * a stranger who takes much loses it to those who take little.
 */
export class Shares {
  readonly #limits: EmbeddedLimits;
  /** The oldest first. */
  readonly #connections = new Set<EmbeddedConnection>();
  #filterBytes = 0;
  /** Since what waits was last measured. */
  #sent = 0;

  constructor(limits: EmbeddedLimits) {
    this.#limits = limits;
  }

  get connections(): ReadonlySet<EmbeddedConnection> {
    return this.#connections;
  }

  joined(connection: EmbeddedConnection): void {
    this.#connections.add(connection);
  }

  left(connection: EmbeddedConnection): void {
    this.#connections.delete(connection);
  }

  /** Makes room for one more, if need be of the one that has shown least, the oldest first. @returns whether there is */
  makePlace(): boolean {
    if (this.#connections.size < this.#limits.connections) return true;
    let least: EmbeddedConnection | null = null;
    for (const connection of this.#connections) {
      if (!connection.proven && (least === null || (least.listens && !connection.listens))) least = connection;
    }
    least?.putOut('embedded: closed for a new one');
    return least !== null;
  }

  /** @returns false when `connection` would hold more than any other, and there is no room */
  takeFilters(connection: EmbeddedConnection, bytes: number): boolean {
    while (this.#filterBytes + bytes > this.#limits.allFilterBytes) {
      let fullest: EmbeddedConnection | null = null;
      let most = connection.filterBytes + bytes;
      for (const other of this.#connections) {
        if (other === connection || other.filterBytes <= most) continue;
        fullest = other;
        most = other.filterBytes;
      }
      if (fullest === null) return false;
      fullest.putOut('embedded: closed for filters');
    }
    this.#filterBytes += bytes;
    return true;
  }

  returnFilters(bytes: number): void {
    this.#filterBytes -= bytes;
  }

  /** So much more was sent to somebody. Most of it has left at once: what waits is measured now and then only. */
  sent(characters: number): void {
    this.#sent += characters;
    if (this.#sent > this.#limits.allBuffered / 2) this.#measure();
  }

  #measure(): void {
    this.#sent = 0;
    const waiting = [...this.#connections].map((connection) => ({ connection, bytes: connection.buffered }));
    waiting.sort((a, b) => b.bytes - a.bytes);
    let sum = waiting.reduce((total, { bytes }) => total + bytes, 0);
    for (const { connection, bytes } of waiting) {
      // As much again may be sent until it is measured next.
      if (sum <= this.#limits.allBuffered / 2) return;
      connection.putOut('embedded: closed for not reading');
      sum -= bytes;
    }
  }
}
