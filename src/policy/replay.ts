import { Fingerprints } from '../nip46/fingerprints.ts';

/** Full generations that are kept beside the one that is being filled. */
const KEPT = 4;
/** Entries of all generations of one kind; beyond it the oldest generation goes early. About 10 bytes each. */
const MOST_ENTRIES = 8_000_000;

export interface Remembered {
  /** Id of a NIP-46 event, or of an admin's. */
  envelope: string;
  /** Keyed hash of client, request id and body; null for an admin's event, and for a retry. */
  body: string | null;
}

/**
 * Which events were carried out, and which requests, for at least `window` ms. Entries are written down with the
 * transaction that makes them true: until it is durable they are only `staged`, and are taken back with it.
 *
 * Time is kept in generations, each of a quarter of the window: an entry is held for one window to one and a quarter.
 */
export class ReplayMemory {
  readonly #window: number;
  readonly #seed: number;
  #envelopes: Fingerprints[];
  #bodies: Fingerprints[];
  /** When the newest generation was begun, monotonic ms. */
  #begun: number;
  readonly #staged: Remembered[] = [];
  #stagedEnvelopes = new Set<string>();
  #stagedBodies = new Set<string>();

  constructor(options: { window: number; seed: number; mono: number }) {
    this.#window = options.window;
    this.#seed = options.seed;
    this.#begun = options.mono;
    this.#envelopes = [new Fingerprints(this.#seed)];
    this.#bodies = [new Fingerprints(this.#seed)];
  }

  get size(): number {
    return count(this.#envelopes) + count(this.#bodies);
  }

  knowsEnvelope(id: string): boolean {
    return this.#stagedEnvelopes.has(id) || this.#envelopes.some((set) => set.has(id));
  }

  knowsBody(hash: string): boolean {
    return this.#stagedBodies.has(hash) || this.#bodies.some((set) => set.has(hash));
  }

  stage(entry: Remembered): void {
    this.#staged.push(entry);
    this.#stagedEnvelopes.add(entry.envelope);
    if (entry.body !== null) this.#stagedBodies.add(entry.body);
  }

  /** The transaction is durable. */
  keep(): void {
    const envelopes = this.#envelopes[0]!;
    const bodies = this.#bodies[0]!;
    for (const entry of this.#staged) {
      envelopes.add(entry.envelope);
      if (entry.body !== null) bodies.add(entry.body);
    }
    this.drop();
  }

  /** The transaction was taken back. */
  drop(): void {
    this.#staged.length = 0;
    // Not cleared: actor/transient-map.ts says why.
    this.#stagedEnvelopes = new Set();
    this.#stagedBodies = new Set();
  }

  /** To be called before each batch. */
  turn(mono: number): void {
    const part = this.#window / KEPT;
    const full = count(this.#envelopes) >= MOST_ENTRIES || count(this.#bodies) >= MOST_ENTRIES;
    if (mono - this.#begun < part && !full) return;
    const passed = full ? 1 : Math.min(Math.floor((mono - this.#begun) / part), KEPT + 1);
    this.#begun = full ? mono : this.#begun + Math.floor((mono - this.#begun) / part) * part;
    this.#envelopes[0]!.shrink();
    this.#bodies[0]!.shrink();
    for (let i = 0; i < passed; i++) {
      this.#envelopes.unshift(new Fingerprints(this.#seed));
      this.#bodies.unshift(new Fingerprints(this.#seed));
    }
    this.#envelopes.length = Math.min(this.#envelopes.length, KEPT + 1);
    this.#bodies.length = Math.min(this.#bodies.length, KEPT + 1);
  }

  /** Forgets everything and reads it again, at start and when the clock was set back. */
  rebuild(entries: Iterable<Remembered>, mono: number): void {
    this.drop();
    this.#envelopes = [new Fingerprints(this.#seed)];
    this.#bodies = [new Fingerprints(this.#seed)];
    this.#begun = mono;
    for (const entry of entries) {
      this.#envelopes[0]!.add(entry.envelope);
      if (entry.body !== null) this.#bodies[0]!.add(entry.body);
    }
    this.#envelopes[0]!.shrink();
    this.#bodies[0]!.shrink();
  }
}

function count(sets: Fingerprints[]): number {
  return sets.reduce((sum, set) => sum + set.size, 0);
}
