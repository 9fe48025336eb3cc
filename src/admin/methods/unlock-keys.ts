import * as z from 'zod/mini';
import { ActorError, type Secret } from '../../actor/protocol.ts';
import { handOn } from '../../keystore/passphrase-port.ts';
import { type UnlockResult, WRONG } from '../../keystore/protocol.ts';
import type { KeyRow } from '../../policy/protocol.ts';
import type { Answer } from '../answer.ts';
import type { Desk } from '../desk.ts';
import { EVERY_KEY } from '../queue.ts';
import { json, secret } from './fields.ts';
import { type Call, method } from './method.ts';

/** One derivation for each passphrase that the fleet was sealed under, and they wait for others. */
const SWEEP_MS = 600_000;
/** Passphrases that are tried at once. */
const LANES = 4;
const MOST_NAMES = 10_000;
const LOCKED_SINCE = 'the key was locked after this request was made: ask again if it is to be unlocked';
const LOCKED_ON_PURPOSE = 'locked on purpose: it is unlocked by its name only';

/**
 * `unlock_keys` [JSON {passphrase} or {passphrases: {name: passphrase}}] -> {"success": n, "total": m, "failed":
 * [{key, error}]}. A key that was locked on purpose is unlocked only when it is named.
 */
export const unlockKeys = method({
  params: ['options'],
  open: { options: [] },
  schema: z.object({
    options: json(
      z
        .object(
          {
            passphrase: z.optional(secret),
            passphrases: z.optional(
              z
                .record(z.string(), secret, 'must be an object {name: passphrase}')
                .check(
                  z.refine((names) => Object.keys(names).length <= MOST_NAMES, `has more than ${MOST_NAMES} names`),
                ),
            ),
          },
          'must be JSON {"passphrase"} or {"passphrases": {name: passphrase}}',
        )
        .check(
          z.refine(
            ({ passphrase, passphrases }) => (passphrase === undefined) !== (passphrases === undefined),
            'must have either "passphrase" or "passphrases"',
          ),
        ),
    ),
  }),
  changes: true,
  touches: ({ options: { passphrases } }) =>
    passphrases === undefined ? [EVERY_KEY] : Object.keys(passphrases).map((name) => `key:${name}`),
  target: ({ options }) => (options.passphrases === undefined ? 'every key' : targetOf(options.passphrases)),
  run: async ({ options: { passphrases } }, desk, call) => {
    const wait = desk.wrongPassphrases.wait(`admin ${call.admin}`);
    if (wait > 0) return { ok: false, error: tooMany(wait), passing: true };
    if (passphrases !== undefined) return new Sweep(desk, call, Object.keys(passphrases)).named();
    const rows = (await desk.policy.ask('listKeys', null)).filter((row) => row.deletedAt === null);
    const names = rows.map((row) => row.name);
    return new Sweep(desk, call, names).everyKey();
  },
});

/** One call: which keys are to be unlocked, and what came of it. */
class Sweep {
  readonly #desk: Desk;
  readonly #call: Call;
  readonly #names: readonly string[];
  readonly #failed = new Map<string, string>();
  #rows = new Map<string, KeyRow>();

  constructor(desk: Desk, call: Call, names: readonly string[]) {
    this.#desk = desk;
    this.#call = call;
    this.#names = names;
  }

  async everyKey(): Promise<Answer> {
    await this.#readRows();
    const passphrase = this.#call.secrets['options.passphrase'];
    const locked = await this.#stillLocked();
    for (const name of locked) if (this.#rows.get(name)!.lockedAt !== null) this.#failed.set(name, LOCKED_ON_PURPOSE);
    await this.#unlock(
      locked.filter((name) => !this.#failed.has(name)),
      passphrase,
    );
    return this.#answer();
  }

  async named(): Promise<Answer> {
    await this.#readRows();
    const { secrets, createdAt } = this.#call;
    for (const [name, { lockedAt }] of this.#rows) {
      const lockedLater = lockedAt !== null && createdAt < Math.floor(lockedAt / 1000);
      if (lockedLater) this.#failed.set(name, LOCKED_SINCE);
    }
    const groups = byPassphrase(
      (await this.#stillLocked()).filter((name) => !this.#failed.has(name)),
      (name) => {
        return secrets[`options.passphrases.${name}`];
      },
    );
    const lane = async () => {
      for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
        await this.#unlock(group.names, group.passphrase);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    await this.#clearLocks();
    return this.#answer();
  }

  async #readRows(): Promise<void> {
    const rows = (await this.#desk.policy.ask('listKeys', null)).filter((row) => row.deletedAt === null);
    this.#rows = new Map(rows.map((row) => [row.name, row]));
    for (const name of this.#names) {
      if (!this.#rows.has(name)) this.#failed.set(name, 'no key of this name: get_keys lists them');
      else if (this.#lockedSince(name)) this.#failed.set(name, LOCKED_SINCE);
    }
  }

  /** Those of the names that a passphrase is to be tried on. */
  async #stillLocked(): Promise<string[]> {
    const unlocked = new Set((await this.#desk.main.ask('unlocked', null)).map((key) => key.name));
    return this.#names.filter((name) => !unlocked.has(name) && !this.#failed.has(name));
  }

  /** Tries one passphrase on these keys. */
  async #unlock(wanted: readonly string[], passphrase: Secret | undefined): Promise<void> {
    const { wrongPassphrases, main, unlockers } = this.#desk;
    const admin = `admin ${this.#call.admin}`;
    const names = wanted.filter((name) => {
      const wait = wrongPassphrases.wait(`key ${name}`, admin);
      if (wait > 0) this.#failed.set(name, tooMany(wait));
      return wait === 0;
    });
    if (names.length === 0) return;
    if (passphrase === undefined || passphrase.length === 0) return this.#fail(names, 'the passphrase is empty');

    const asked = unlockers.run(0, () => {
      const port = handOn({ passphrase });
      return main.ask('unlockKeys', { names, source: { port } }, { timeoutMs: SWEEP_MS, transfer: [port] });
    });
    const result = await asked.catch((error): UnlockResult => {
      if (!(error instanceof ActorError)) throw error;
      return { unlocked: [], failed: [], refusal: `the daemon could not carry it out (${error.message})` };
    });
    if (result.refusal !== undefined) return this.#fail(names, result.refusal);
    for (const { name, error } of result.failed) this.#failed.set(name, error);
    const wrong = result.failed.filter(({ error }) => error === WRONG);
    const opened = names.filter((name) => !this.#failed.has(name));
    for (const { name } of wrong) wrongPassphrases.failed(`key ${name}`);
    for (const name of opened) wrongPassphrases.succeeded(`key ${name}`);
    // A passphrase that opens something is no guess: the other keys have one of their own.
    if (opened.length > 0) wrongPassphrases.succeeded(admin);
    else if (wrong.length > 0) wrongPassphrases.failed(admin);
    await this.#lockAgain(opened);
  }

  /** A lock that came in while the keys were being opened wins. */
  async #lockAgain(opened: readonly string[]): Promise<void> {
    const names = opened.filter((name) => this.#lockedSince(name));
    if (names.length === 0) return;
    await this.#desk.main.ask('lockKeys', { names });
    this.#fail(names, LOCKED_SINCE);
  }

  /** Who names a key means to undo its lock for good. */
  async #clearLocks(): Promise<void> {
    for (const name of this.#names) {
      if (this.#failed.has(name) || this.#rows.get(name)!.lockedAt === null || this.#lockedSince(name)) continue;
      const kept = await this.#desk.policy.ask('setLocked', { name, locked: false });
      if (!kept.ok) this.#failed.set(name, `unlocked, but it will be locked again after a restart: ${kept.refusal}`);
    }
  }

  #lockedSince(name: string): boolean {
    return this.#desk.locks.since(name, this.#call.mark);
  }

  #fail(names: readonly string[], error: string): void {
    for (const name of names) this.#failed.set(name, error);
  }

  #answer(): Answer {
    const failed = this.#names.flatMap((key) => {
      const error = this.#failed.get(key);
      return error === undefined ? [] : [{ key, error }];
    });
    const total = this.#names.length;
    return { ok: true, result: JSON.stringify({ success: total - failed.length, total, failed }) };
  }
}

/** One derivation for keys that were given the same passphrase. */
function byPassphrase(names: readonly string[], passphraseOf: (name: string) => Secret | undefined) {
  const groups: { passphrase: Secret | undefined; names: string[] }[] = [];
  for (const name of names) {
    const passphrase = passphraseOf(name);
    const same = groups.find((group) => isSame(group.passphrase, passphrase));
    if (same === undefined) groups.push({ passphrase, names: [name] });
    else same.names.push(name);
  }
  return groups;
}

function isSame(a: Secret | undefined, b: Secret | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** For the audit log, which holds no long lists. */
function targetOf(passphrases: object): string {
  const names = Object.keys(passphrases);
  return names.length === 1 ? names[0]!.slice(0, 256) : `${names.length} keys`;
}

function tooMany(ms: number): string {
  return `too many wrong passphrases: try again in ${Math.ceil(ms / 1000)} s`;
}
