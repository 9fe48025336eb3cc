import { createHash, randomUUID } from 'node:crypto';
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning, type ProcessIdentity, processIdentity } from './process-identity.ts';

/** `release` may be called more than once; it is called at exit by itself. */
export type LockResult =
  | { ok: true; release(): void }
  /** `holder`: the process that has it; null when it cannot be made. */
  | { ok: false; refusal: string; holder: number | null };

interface Holder extends ProcessIdentity {
  /** One for each time that a lock was taken. */
  id: string;
}

/** Of a file that no lock has written, say after a power cut. */
const NOBODY = { pid: 0, started: null };

const LOCK = 'redoubt.lock';

/** Takes `redoubt.lock` of a data folder: one daemon at a time. */
export function takeLock(folder: string): LockResult {
  return takeLockFile(join(folder, LOCK), folder, 'name another folder with --data');
}

/**
 * Takes the lock that lies at a path. That of a process that has ended is replaced, also when its process id belongs to
 * another one by now.
 *
 * Files appear whole and by link(2), which never replaces. Of all that start beside the same dead holder only one can
 * link itself to the name `redoubt.lock.<id>.next`, and only that one may replace the lock: removing a dead lock and
 * making a new one would be two steps, between which a second start could remove the lock of the first.
 *
 * @param of what it is the lock of. @param wayOut besides stopping the other one
 */
export function takeLockFile(path: string, of: string, wayOut: string): LockResult {
  const me: Holder = { ...processIdentity(process.pid), id: randomUUID() };
  const draft = `${path}.${me.id}`;
  try {
    writeFileSync(draft, `${JSON.stringify(me)}\n`, { flag: 'wx', mode: 0o600 });
    const running = claim(path, draft);
    if (running !== null) {
      const who = `another redoubt (process ${running.pid}) runs on ${of}`;
      return { ok: false, refusal: `${who}: stop it first, or ${wayOut}`, holder: running.pid };
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const refusal = `${path}: cannot be made (${code}): see to the folder, its owner and its mode`;
    return { ok: false, refusal, holder: null };
  } finally {
    // Not there where the folder refused it, and then the folder may refuse this too.
    if (existsSync(draft)) rmSync(draft, { force: true });
  }
  const release = (): void => {
    process.off('exit', release);
    if (readHolder(path)?.id === me.id) rmSync(path, { force: true });
  };
  process.on('exit', release);
  return { ok: true, release };
}

/** The process that runs on a data folder; null when none does. Changes nothing. */
export function lockHolder(folder: string): number | null {
  return lockFileHolder(join(folder, LOCK));
}

export function lockFileHolder(path: string): number | null {
  const last = deadLine(path).at(-1);
  return last !== undefined && isRunning(last) ? last.pid : null;
}

/** Makes the draft the lock. @returns who has it instead, or null */
function claim(path: string, draft: string): Holder | null {
  for (;;) {
    if (linked(draft, path)) return null;
    const line = deadLine(path);
    // It was released meanwhile.
    if (line.length === 0) continue;
    const last = line.at(-1) as Holder;
    if (isRunning(last)) return last;
    if (!linked(draft, nextOf(path, last))) continue;
    // Ours alone from here, unless the lock was replaced and tidied up while we looked.
    if (!sameLine(line, deadLine(path).slice(0, line.length))) {
      rmSync(nextOf(path, last), { force: true });
      continue;
    }
    renameSync(draft, path);
    for (const holder of line) rmSync(nextOf(path, holder), { force: true });
    return null;
  }
}

/** The lock's holder and, as long as they are dead, those who were about to follow it and died too. */
function deadLine(path: string): Holder[] {
  const line: Holder[] = [];
  let holder = readHolder(path);
  while (holder !== null) {
    line.push(holder);
    if (isRunning(holder)) break;
    holder = readHolder(nextOf(path, holder));
  }
  return line;
}

function sameLine(before: readonly Holder[], now: readonly Holder[]): boolean {
  return before.length === now.length && before.every(({ id }, i) => id === now[i]?.id);
}

function nextOf(path: string, holder: Holder): string {
  return `${path}.${holder.id}.next`;
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readHolder(path: string): Holder | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const { pid, started, id } = JSON.parse(text) as Partial<Holder>;
    if (Number.isSafeInteger(pid) && typeof id === 'string' && /^[\w-]{1,64}$/.test(id)) {
      return { pid: pid as number, started: typeof started === 'string' ? started : null, id };
    }
  } catch {
    // No lock of ours.
  }
  return { ...NOBODY, id: createHash('sha256').update(text).digest('hex').slice(0, 32) };
}
