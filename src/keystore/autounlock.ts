import { isUtf8 } from 'node:buffer';
import { type Secret, wipe } from '../actor/protocol.ts';
import { environmentVariable } from './environment.ts';
import { MAX_PASSPHRASE, type PassphraseRead, readPassphraseFile } from './passphrase-file.ts';
import { readPassphrasesFile, wipeEntries } from './passphrases-file.ts';
import type { AutounlockInspection, AutounlockSourceName, AutounlockSources } from './protocol.ts';

const LITERAL = 'NSECBUNKER_AUTOUNLOCK_PASSPHRASE';
const FILE = 'NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE';
const OWN = 'REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE';

/** What autounlock is to work with, before anything else is started: what is wrong with it ends the start. */
export function inspectAutounlock({ environment, file, passphrases }: AutounlockSources): AutounlockInspection {
  const literal = environment === null ? null : readEnvironment(environment);
  if (literal?.ok) wipe(literal.passphrase);
  const isSet = literal !== null && !(literal.ok && literal.passphrase.length === 0);
  if (isSet && file !== null) {
    return refuse(`${LITERAL} and ${FILE} are both set: the configuration is ambiguous, set one of them`);
  }
  const from: AutounlockSourceName[] = [];
  const warnings: string[] = [];
  if (isSet) {
    if (!literal.ok) return refuse(literal.refusal);
    from.push(LITERAL);
  }
  if (file !== null) {
    const read = readPassphraseFile(file);
    if (!read.ok) return refuse(`${FILE}: ${read.refusal}`);
    wipe(read.passphrase);
    warnings.push(...read.warnings.map((warning) => `${FILE}: ${warning}`));
    from.push(FILE);
  }
  const own: string[][] = [];
  if (passphrases !== null) {
    const read = readPassphrasesFile(passphrases);
    if (!read.ok) return refuse(`${OWN}: ${read.refusal}`);
    own.push(...sharing(read.entries));
    wipeEntries(read.entries);
    warnings.push(...read.warnings.map((warning) => `${OWN}: ${warning}`));
    from.push(OWN);
  }
  return { ok: true, from, own, warnings };
}

/** The passphrase that was given literally; empty when the variable is. For workers only. */
export function readEnvironment(environment: number): PassphraseRead {
  const passphrase = environmentVariable(environment, LITERAL);
  const why = passphrase === null ? MISSING : whyUnfit(passphrase);
  if (passphrase !== null && why === null) return { ok: true, passphrase, warnings: [] };
  wipe(passphrase);
  return { ok: false, refusal: `${LITERAL} ${why}` };
}

const MISSING =
  'is set, but cannot be read from the environment that the process was started with (/proc/self/environ): ' +
  `use ${FILE} instead`;

function whyUnfit(passphrase: Secret): string | null {
  if (passphrase.length > MAX_PASSPHRASE) return `is longer than ${MAX_PASSPHRASE} bytes: give a shorter one`;
  return isUtf8(passphrase) ? null : 'is not UTF-8 text: set it in UTF-8';
}

/** Names in groups that share a passphrase: one derivation serves a group. */
function sharing(entries: ReadonlyMap<string, Secret>): string[][] {
  const groups: string[][] = [];
  let last: Secret | undefined;
  for (const [name, passphrase] of [...entries].sort(([, a], [, b]) => Buffer.compare(a, b))) {
    if (last !== undefined && Buffer.compare(last, passphrase) === 0) groups.at(-1)!.push(name);
    else groups.push([name]);
    last = passphrase;
  }
  return groups;
}

function refuse(refusal: string): AutounlockInspection {
  return { ok: false, refusal };
}
