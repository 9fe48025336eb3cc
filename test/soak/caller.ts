/** A client or an admin that lives through faults: it connects again, on whichever relay it reaches, and misses no answer. */
import { RpcClient, type RpcResponse } from '../support/rpc.ts';
import type { Disturbances } from './disturbances.ts';
import type { Seeded } from './seeded.ts';

export type Path = 'embedded' | 'outside';

export interface Surroundings {
  random: Seeded;
  disturbances: Disturbances;
  /** The relay's address now. */
  url(path: Path): string;
  /** Faults of the daemon, found by whoever asks. */
  broken(what: string): void;
  count(what: string): void;
  /** Of each request that was answered while nothing was disturbed, ms. */
  took(method: string, ms: number): void;
}

/** The requests' deadline is shorter (soak.ts): what was not answered by then has expired. */
const PATIENCE_MS = 9_000;
/** After so many requests it leaves the relay and comes back, as clients do. */
const SESSION = 60;
/** Refusals that a fault excuses. */
const FAULTS = ['audit log unavailable', 'request expired', 'overloaded'];
const REPEATED = 0.05;

interface Session {
  rpc: RpcClient;
  path: Path;
  asked: number;
  /** By how many at once. */
  inUse: number;
}

export class Caller {
  readonly secretKey: Uint8Array;
  readonly remote: string;
  readonly #kind: number;
  readonly #around: Surroundings;
  #open: Session | null = null;
  #opening: Promise<void> | null = null;

  constructor(around: Surroundings, secretKey: Uint8Array, remote: string, kind = 24133) {
    this.#around = around;
    this.secretKey = secretKey;
    this.remote = remote;
    this.#kind = kind;
  }

  /**
   * @returns the answer; null where a fault has kept it away, or is what it tells of
   * `undisturbed`: nothing happened meanwhile, so that the answer has to be the right one
   * @param needs what it depends on besides the daemon and the relay that it goes over
   */
  async ask(
    method: string,
    params: unknown[] = [],
    needs: readonly Path[] = [],
  ): Promise<(RpcResponse & { undisturbed: boolean }) | null> {
    const { disturbances, random, broken, count, took } = this.#around;
    const began = performance.now();
    const session = await this.#session();
    count('requests');
    if (session === null) {
      if (!disturbances.since(began, ['daemon', 'outside'])) broken(`no relay was to be reached for ${method}`);
      count('unreached');
      return null;
    }
    const { rpc, path } = session;
    const places = [path, ...needs].filter((one) => one === 'outside');
    const excused = () => disturbances.since(began, [...places, 'daemon', this]);
    const { id, event } = rpc.request(method, params);
    const sent = performance.now();
    const answer = rpc.next(id);
    rpc.sendEvent(event);
    if (random.chance(REPEATED)) rpc.sendEvent(event);
    const response = await within(answer, PATIENCE_MS);
    session.inUse--;
    if (response === null) {
      if (!excused()) {
        const state = rpc.socket.readyState === rpc.socket.OPEN ? 'open' : 'closed';
        broken(`${method} (${id}) over the ${path} relay was not answered, on a connection that is ${state}`);
      }
      count('expired');
      return null;
    }
    count('answered');
    const undisturbed = !excused();
    if (undisturbed) took(method, performance.now() - sent);
    if (response.error !== undefined && FAULTS.some((fault) => response.error!.includes(fault))) {
      count('refused for a fault');
      if (undisturbed) broken(`${method}: ${response.error}, and nothing was wrong`);
      return null;
    }
    return { ...response, undisturbed };
  }

  /** Leaves in the middle of whatever it does, without a word. */
  vanish(): void {
    const session = this.#open;
    if (session === null) return;
    this.#open = null;
    session.rpc.socket.terminate();
    this.#account(session.rpc);
  }

  close(): void {
    const session = this.#open;
    if (session === null) return;
    this.#open = null;
    session.rpc.close();
    this.#account(session.rpc);
  }

  async rpc(): Promise<RpcClient | null> {
    const session = await this.#session();
    if (session === null) return null;
    session.inUse--;
    return session.rpc;
  }

  /** In use from here on, until the caller says otherwise: another one must not close it in between. */
  async #session(): Promise<Session | null> {
    const session = this.#open;
    if (session !== null && (session.rpc.socket.readyState !== session.rpc.socket.OPEN || this.#hasEnough(session))) {
      this.close();
    }
    if (this.#open === null) {
      this.#opening ??= this.#connect().finally(() => {
        this.#opening = null;
      });
      await this.#opening;
    }
    if (this.#open === null) return null;
    this.#open.asked++;
    this.#open.inUse++;
    return this.#open;
  }

  #hasEnough({ asked, inUse }: Session): boolean {
    return asked >= SESSION && inUse === 0;
  }

  async #connect(): Promise<void> {
    const first = this.#around.random.pick(['embedded', 'outside'] as const);
    for (const path of [first, first === 'embedded' ? 'outside' : 'embedded'] as const) {
      const rpc = new RpcClient(this.secretKey, this.remote, this.#kind);
      const open = await within(
        rpc.open(this.#around.url(path)).then(
          () => true,
          () => false,
        ),
        3_000,
      );
      if (open) {
        rpc.socket.on('error', () => {});
        this.#open = { rpc, path, asked: 0, inUse: 0 };
        return;
      }
      rpc.socket.terminate();
    }
  }

  /** Each request was answered by one event at most, however often a relay has given it. */
  #account(rpc: RpcClient): void {
    const answers = new Map<string, string>();
    for (const { event, text } of rpc.deliveries) {
      const { id, method } = JSON.parse(text) as { id: string; method?: string };
      if (method !== undefined) continue;
      const known = answers.get(id);
      if (known === undefined) answers.set(id, event.id);
      else if (known === event.id) this.#around.count('answers repeated by relays');
      else this.#around.broken(`request ${id} was answered twice`);
    }
  }
}

/** null: it has not come within that time. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, ms, null);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
