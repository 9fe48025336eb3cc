/** The file system's calls, counted and stopped at any of them, and what a disk may hold after that. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join, relative } from 'node:path';

/** What the process dies of. */
export class Crash extends Error {}

/**
 * `killed`: all that was done is there. After a power cut: `names` that no fsync of their folder made last are as
 * before; `data` that no fsync of its file made last is gone, or `half` of it is; or `both`, names and data, are gone.
 */
export const LOSSES = ['killed', 'names', 'data', 'half', 'both'] as const;
export type Loss = (typeof LOSSES)[number];

const CALLS = [
  'openSync',
  'writeSync',
  'fsyncSync',
  'closeSync',
  'renameSync',
  'rmSync',
  'unlinkSync',
  'mkdirSync',
  'chmodSync',
  'chownSync',
  'readdirSync',
  'existsSync',
  'statSync',
  'fstatSync',
  'readSync',
  'realpathSync',
  'readFileSync',
  'writeFileSync',
] as const;
type Call = (typeof CALLS)[number];
const real = Object.fromEntries(CALLS.map((name) => [name, fs[name]])) as unknown as Pick<typeof fs, Call>;

let watching: CrashDisk | null = null;

/** Once, before anything is run. */
export function watchFileSystem(): void {
  for (const name of CALLS) {
    const own = real[name] as (...args: unknown[]) => unknown;
    const watched = (...args: unknown[]) => (watching === null ? own(...args) : watching.call(name, own, args));
    Object.assign(fs, { [name]: watched });
  }
  syncBuiltinESMExports();
}

interface Tree {
  /** Whose content is at this path. */
  files: Map<string, number>;
  folders: Set<string>;
}

/** A folder while something works on it. */
export class CrashDisk {
  readonly #root: string;
  readonly #now: Tree = { files: new Map(), folders: new Set() };
  readonly #durable: Tree = { files: new Map(), folders: new Set() };
  readonly #content: Buffer[] = [];
  /** What fsync has seen of it. */
  readonly #synced: (Buffer | undefined)[] = [];
  readonly #descriptors = new Map<number, string>();
  #crashAt = Number.POSITIVE_INFINITY;
  calls = 0;
  crashed = false;

  /** What is in the folder has long been on the disk. */
  constructor(root: string) {
    this.#root = root;
    this.#read(root);
    for (const tree of [this.#now, this.#durable]) tree.folders.add(root);
    for (const [path, id] of this.#now.files) this.#durable.files.set(path, id);
    for (const folder of this.#now.folders) this.#durable.folders.add(folder);
  }

  /** Runs `work`, which dies at its call number `crashAt` (from 1) and does nothing any more. */
  async run<T>(crashAt: number, work: () => Promise<T>): Promise<T | Crash> {
    this.#crashAt = crashAt;
    watching = this;
    try {
      const result = await work();
      return this.crashed ? new Crash() : result;
    } catch (error) {
      if (this.crashed) return new Crash();
      throw error;
    } finally {
      watching = null;
    }
  }

  call(name: Call, own: (...args: unknown[]) => unknown, args: unknown[]): unknown {
    const path = typeof args[0] === 'number' ? this.#descriptors.get(args[0]) : String(args[0]);
    if (path === undefined || !path.startsWith(this.#root)) return own(...args);
    if (this.crashed) throw new Crash();
    if (++this.calls === this.#crashAt) {
      this.crashed = true;
      if (name === 'writeSync') this.#writeHalf(args[0] as number, args[1] as Uint8Array, path);
      throw new Crash();
    }
    const result = own(...args);
    this.#note(name, path, args, result);
    return result;
  }

  /** How many ways there are for the disk to be after this: the files of each, by their paths under the root. */
  left(loss: Loss): Map<string, Buffer> {
    const { files, folders } = loss === 'names' || loss === 'both' ? this.#durable : this.#now;
    const left = new Map<string, Buffer>();
    for (const [path, id] of files) {
      if (!this.#isIn(folders, path)) continue;
      left.set(relative(this.#root, path), this.#contentAfter(id, loss));
    }
    return left;
  }

  #contentAfter(id: number, loss: Loss): Buffer {
    const now = this.#content[id]!;
    if (loss === 'killed' || loss === 'names') return now;
    return this.#synced[id] ?? now.subarray(0, loss === 'half' ? now.length >> 1 : 0);
  }

  #isIn(folders: ReadonlySet<string>, path: string): boolean {
    for (let folder = dirname(path); folder !== this.#root; folder = dirname(folder)) {
      if (!folders.has(folder)) return false;
    }
    return true;
  }

  #note(name: Call, path: string, args: unknown[], result: unknown): void {
    const { files } = this.#now;
    switch (name) {
      case 'openSync':
        this.#descriptors.set(result as number, path);
        if (args[1] === 'wx') this.#make(path);
        return;
      case 'closeSync':
        this.#descriptors.delete(args[0] as number);
        return;
      case 'writeSync':
        this.#content[files.get(path)!] = real.readFileSync(path);
        return;
      case 'writeFileSync':
        this.#make(path);
        return;
      case 'fsyncSync':
        return this.#sync(path);
      case 'renameSync': {
        const to = String(args[1]);
        files.set(to, files.get(path)!);
        files.delete(path);
        return;
      }
      case 'rmSync':
      case 'unlinkSync':
        files.delete(path);
        return;
      case 'mkdirSync':
        for (let folder = path; folder !== this.#root; folder = dirname(folder)) this.#now.folders.add(folder);
        return;
      default:
        return;
    }
  }

  #make(path: string): void {
    this.#now.files.set(path, this.#content.push(real.readFileSync(path)) - 1);
  }

  #sync(path: string): void {
    const id = this.#now.files.get(path);
    if (id !== undefined) {
      this.#synced[id] = this.#content[id];
      return;
    }
    const isIn = (entry: string) => dirname(entry) === path;
    for (const entry of [...this.#durable.files.keys()].filter(isIn)) this.#durable.files.delete(entry);
    for (const [entry, id] of this.#now.files) if (isIn(entry)) this.#durable.files.set(entry, id);
    for (const folder of this.#now.folders) if (isIn(folder)) this.#durable.folders.add(folder);
  }

  #writeHalf(descriptor: number, bytes: Uint8Array, path: string): void {
    real.writeSync(descriptor, bytes, 0, bytes.length >> 1);
    this.#content[this.#now.files.get(path)!] = real.readFileSync(path);
  }

  #read(folder: string): void {
    for (const entry of real.readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        this.#now.folders.add(path);
        this.#read(path);
      } else {
        this.#make(path);
        this.#synced.push(real.readFileSync(path));
      }
    }
  }
}
