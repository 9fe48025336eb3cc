import { lstatSync, readdirSync, type Stats, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { leftovers } from '../workplace.ts';
import { type Finding, finding } from './finding.ts';
import type { Patient } from './patient.ts';

/** Bytes below which nothing may be left to write an audit row into. */
const LEAST_FREE = 16 * 1024 * 1024;
const MODES_SHOWN = 20;

/** Modes and owners of what holds secrets, what was left of it, and free disk space. */
export function examineFiles(patient: Patient): Finding[] {
  const { configPath, data, database, keystore } = patient;
  const paths = [
    configPath,
    ...['admin.nsec', 'passphrase'].map((name) => join(data, name)),
    ...['', '-wal', '-shm'].map((end) => database + end),
    ...copiesOf(database),
    keystore,
    ...namesIn(keystore).map((name) => join(keystore, name)),
  ];
  const there = paths.flatMap((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ path, stat }];
  });
  const left = examineLeftovers([data, dirname(database), dirname(keystore)]);
  return [...examineModes(there), ...examineOwners(data, there), ...left, ...examineDisk(database)];
}

function examineModes(there: { path: string; stat: Stats }[]): Finding[] {
  const open = there.filter(({ stat }) => (stat.mode & 0o077) !== 0 && !stat.isSymbolicLink());
  if (open.length === 0) return [];
  const items = open.slice(0, MODES_SHOWN).map(({ path, stat }) => `${path} (${(stat.mode & 0o777).toString(8)})`);
  return [finding('file-mode', `${open.length} files with secrets can be read by group or others`, items)];
}

/** A command that root ran may have left files that the daemon cannot read. */
function examineOwners(data: string, there: { path: string; stat: Stats }[]): Finding[] {
  const owner = lstatSync(data, { throwIfNoEntry: false })?.uid;
  const others = there.filter(({ stat }) => stat.uid !== owner);
  if (owner === undefined || others.length === 0) return [];
  const items = others.slice(0, MODES_SHOWN).map(({ path, stat }) => `${path} (user ${stat.uid})`);
  return [finding('file-owner', `${others.length} files belong to another user than ${data} (user ${owner})`, items)];
}

function examineLeftovers(folders: string[]): Finding[] {
  const left = leftovers(folders);
  if (left.length === 0) return [];
  return [
    finding('leftovers', `${left.length} copies with secrets are left of a backup or a restore that was killed`, left),
  ];
}

function examineDisk(database: string): Finding[] {
  const folder = dirname(database);
  if (lstatSync(folder, { throwIfNoEntry: false }) === undefined) return [];
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const size = lstatSync(database, { throwIfNoEntry: false })?.size ?? 0;
  const said = `${folder} has ${Math.floor(free / 1024 / 1024)} MiB left`;
  if (free < LEAST_FREE) return [finding('disk-full', said)];
  if (free >= 2 * size + LEAST_FREE) return [];
  return [finding('disk-low', `${said}, and the database has ${Math.ceil(size / 1024 / 1024)} MiB`)];
}

/** Copies that Redoubt made hold the same secrets. */
function copiesOf(database: string): string[] {
  const folder = dirname(database);
  const start = `${database.slice(folder.length + 1)}.`;
  return namesIn(folder)
    .filter((name) => name.startsWith(start))
    .map((name) => join(folder, name));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Said elsewhere.
    return [];
  }
}
