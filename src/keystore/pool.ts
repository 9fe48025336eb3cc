import { availableParallelism, totalmem } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import type { FromFile, RecoverTask } from '../../prisma-compat/protocol.ts';
import type { CurveName } from '../curve/curve.ts';
import { makePool } from '../host/pool.ts';
import type { Outcome } from '../policy/protocol.ts';
import { changedTogether } from './changed-together.ts';
import { derivationBytes } from './derivation-bytes.ts';
import { Lock } from './lock.ts';
import { Permits } from './permits.ts';
import {
  type AutounlockInspection,
  type AutounlockSources,
  type ChangePlan,
  type ChangeResult,
  type CreatePlan,
  type CreateResult,
  type PassphraseSource,
  type PoolTask,
  type PrepareResult,
  type UnlockPlan,
  type UnlockResult,
  type UnlockTask,
  WRONG,
} from './protocol.ts';

type Refused = { ok: false; refusal: string };
type ChangeTask = Extract<UnlockTask, { op: 'change' }>;
type CreateTask = Extract<UnlockTask, { op: 'create' }>;
type UnlockKeysTask = Extract<UnlockTask, { op: 'unlock' }>;

/** Tasks that wait at most; one more is refused as `busy`. */
const MAX_WAITING = 32;
/** How long an unlocker waits for its passphrase, ms. */
const PASSPHRASE_MS = 5_000;
/** Derivations at logN 17 that a change of all keys may take: nine minutes of one core, and less than its deadline. */
const MOST_TO_CHANGE = 1024;

export interface UnlockPoolOptions {
  /** Path of the worker entry. */
  filename: string;
  /** The backend to use; the fastest that loads when left out. */
  curve?: CurveName;
  cores?: number;
  /** Bytes that derivations may take in all; a quarter of the machine's memory. */
  memory?: number;
  passphraseMs?: number;
  /** Derivations at logN 17, or as much work at another cost, that a change of all keys may take. */
  mostToChange?: number;
}

/**
 * The main thread's side of the unlockers. It moves ports and sees no secret: passphrases reach a thread over one
 * port, and what they open leaves it over another, to the vault. One memory-hard derivation a core at a time.
 */
export class UnlockPool {
  readonly #pool: Piscina;
  readonly #permits: Permits;
  readonly #cores: number;
  readonly #passphraseMs: number;
  readonly #mostToChange: number;
  readonly #lock = Lock.memory();
  #inWork = 0;
  #nextTask = 1;
  #closed = false;

  constructor(options: UnlockPoolOptions) {
    this.#cores = options.cores ?? availableParallelism();
    this.#permits = new Permits(this.#cores, options.memory ?? quarterOfMemory());
    this.#passphraseMs = options.passphraseMs ?? PASSPHRASE_MS;
    this.#mostToChange = options.mostToChange ?? MOST_TO_CHANGE;
    this.#pool = makePool({
      filename: options.filename,
      maxThreads: this.#cores,
      maxQueue: MAX_WAITING,
      workerData: { curve: options.curve },
      // JavaScript's part; what scrypt works on lies outside of it.
      resourceLimits: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 },
    });
  }

  /** Makes the keystore's folder ready; once at start, before any other task. */
  async prepare(keystore: string): Promise<PrepareResult> {
    return this.#run<PrepareResult>({ op: 'prepare', keystore }, 0, []);
  }

  /** Removes a key's file. */
  async remove(keystore: string, pubkey: string): Promise<Outcome<null>> {
    return this.#run<Outcome<null>>({ op: 'remove', keystore, pubkey }, 0, []);
  }

  /** What autounlock is to work with; once at start. */
  async inspect(sources: AutounlockSources): Promise<AutounlockInspection> {
    return this.#run<AutounlockInspection>({ op: 'inspect', sources }, 0, []);
  }

  /** Answers when the key is durable on disk and unlocked in the vault. */
  async create(task: CreateTask): Promise<CreateResult> {
    const { keystore, logN, name, source, vault, taken } = task;
    return this.#admit<CreateResult | Refused>([...portsOf(source), vault], refused, async () => {
      const timeoutMs = this.#passphraseMs;
      const asked: PoolTask = { op: 'plan', for: 'create', keystore, logN, source, timeoutMs };
      const plan = await this.#run<CreatePlan>(asked, 0, portsOf(source));
      if (!plan.ok) {
        vault.close();
        return plan;
      }
      const { slots, seen, maxLogN, passphrase } = plan;
      const part = { op: 'create', keystore, logN, maxLogN, slots, seen, name, passphrase, timeoutMs, vault } as const;
      return this.#locked((own) => this.#run<CreateResult>({ ...part, taken, ...own }, maxLogN, [passphrase, vault]));
    });
  }

  /** Answers when the keys are durably sealed anew, or it is known why not. */
  async change(task: ChangeTask): Promise<ChangeResult> {
    const { keystore, logN, pubkey, source } = task;
    return this.#admit<ChangeResult | Refused>(portsOf(source), refused, async () => {
      const timeoutMs = this.#passphraseMs;
      const most = this.#mostToChange;
      const asked: PoolTask = { op: 'plan', for: 'change', keystore, logN, pubkey, most, source, timeoutMs };
      const plan = await this.#run<ChangePlan>(asked, 0, portsOf(source));
      if (!plan.ok) return plan;
      const { parts, slots, seen, untried } = plan;
      const done: ChangeResult[] = [];
      await this.#eachOf(parts, async ({ oldSlots, maxLogN, passphrase }) => {
        const part = { op: 'change', keystore, logN, maxLogN, pubkey, oldSlots, slots, seen, passphrase } as const;
        const changed = await this.#locked((own) =>
          this.#run<ChangeResult>({ ...part, timeoutMs, ...own }, maxLogN, [passphrase]),
        );
        done.push(changed);
        // Otherwise the others would fail as it did.
        if (!changed.ok && changed.refusal !== WRONG) for (const { passphrase } of parts.splice(0)) passphrase.close();
      });
      return changedTogether(done, untried);
    });
  }

  /** Answers when the vault holds what opens each key, or it is known why not. `onPart` hears of those it holds already. */
  async unlock(task: UnlockKeysTask, onPart?: (pubkeys: readonly string[]) => void): Promise<UnlockResult> {
    const { keystore, keys, source, vault, legacy } = task;
    const failed = (refusal: string) => ({
      unlocked: [],
      failed: keys.map((key) => ({ ...key, error: refusal })),
      refusal,
    });
    return this.#admit<UnlockResult>([...portsOf(source), vault], failed, async () => {
      const timeoutMs = this.#passphraseMs;
      const asked: PoolTask = {
        op: 'plan',
        for: 'unlock',
        keystore,
        keys,
        source,
        timeoutMs,
        vault,
        ...(legacy === undefined ? {} : { legacy }),
      };
      const plan = await this.#run<UnlockPlan>(asked, 0, [...portsOf(source), vault]);
      if (!plan.ok) return failed(plan.refusal);
      const result: UnlockResult = { unlocked: [], failed: plan.failed };
      if (plan.warnings.length > 0) result.warnings = plan.warnings;
      if (plan.fromFile !== undefined) result.fromFile = plan.fromFile;
      await this.#eachOf(plan.parts, async ({ passphrase, vault, maxLogN, keys }) => {
        const todo: PoolTask = { op: 'unlock', keystore, maxLogN, keys, passphrase, timeoutMs, vault };
        const done = await this.#run<UnlockResult>(todo, maxLogN, [passphrase, vault]);
        if ('ok' in done) result.failed.push(...keys.map((key) => ({ ...key, error: done.refusal })));
        else {
          onPart?.(done.unlocked);
          result.unlocked.push(...done.unlocked);
          result.failed.push(...done.failed);
        }
      });
      return result;
    });
  }

  /** Answers when the vault holds the keys that lie in nsecbunker.json unencrypted. */
  async recover(task: RecoverTask): Promise<FromFile> {
    const done = await this.#run<FromFile>(task, 0, [task.vault]);
    if (!('ok' in done)) return done;
    return { held: [], opened: [], failed: task.keys.map((key) => ({ ...key, error: done.refusal })) };
  }

  /** Ends the threads; what they were at is refused. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool.destroy();
  }

  /** At most one part a core waits for its turn: tasks that come later are not kept behind all of this one. */
  async #eachOf<T>(parts: T[], work: (part: T) => Promise<void>): Promise<void> {
    const lane = async () => {
      for (let part = parts.shift(); part !== undefined; part = parts.shift()) await work(part);
    };
    await Promise.all(Array.from({ length: Math.min(this.#cores, parts.length) }, lane));
  }

  /** Runs a task that may take the keystore's lock. */
  async #locked<T>(work: (own: { lock: SharedArrayBuffer; task: number }) => Promise<T>): Promise<T> {
    const task = this.#nextTask++;
    try {
      return await work({ lock: this.#lock, task });
    } finally {
      // If its thread died while it held the lock, nobody else would free it.
      new Lock(this.#lock).free(task);
    }
  }

  /** Lets a task in, or refuses it and closes the ports that it brought. */
  async #admit<T>(ports: MessagePort[], refuse: (refusal: string) => T, work: () => Promise<T>): Promise<T> {
    const refusal = this.#closed ? CLOSED : this.#inWork >= this.#cores + MAX_WAITING ? 'busy' : null;
    if (refusal !== null) {
      for (const port of ports) port.close();
      return refuse(refusal);
    }
    this.#inWork++;
    try {
      return await work();
    } finally {
      this.#inWork--;
    }
  }

  /** @param logN of the most costly derivation in the task; 0 for none */
  async #run<T>(task: PoolTask, logN: number, ports: MessagePort[]): Promise<T | Refused> {
    const bytes = logN === 0 ? 0 : derivationBytes(logN);
    if (!this.#permits.fits(bytes)) {
      for (const port of ports) port.close();
      return refused(`this passphrase takes ${bytes / 2 ** 20} MiB to derive, more than a quarter of the memory here`);
    }
    return this.#permits.run(bytes, async () => {
      try {
        return (await this.#pool.run(task, { transferList: ports as never })) as T;
      } catch (error) {
        for (const port of ports) port.close();
        if (this.#closed) return refused(CLOSED);
        // A port whose other side is gone cannot be handed on.
        const lost = (error as Error).name === 'DataCloneError';
        if (lost) return refused('the passphrase did not reach the unlocker, or the vault is gone: try again');
        // The thread died; what it said last may quote what it held.
        return refused('the unlocker failed: try again');
      }
    });
  }
}

const CLOSED = 'the daemon is stopping';

function refused(refusal: string): Refused {
  return { ok: false, refusal };
}

function portsOf(source: PassphraseSource): MessagePort[] {
  return 'port' in source ? [source.port] : [];
}

/** A container may have less than the machine. */
function quarterOfMemory(): number {
  const constrained = process.constrainedMemory();
  return Math.min(totalmem(), constrained > 0 ? constrained : Number.POSITIVE_INFINITY) / 4;
}
