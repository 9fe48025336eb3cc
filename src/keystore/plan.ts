import { isUtf8 } from 'node:buffer';
import { timingSafeEqual } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import { fromFile, type Tools } from '../../prisma-compat/from-file.ts';
import type { FromFile } from '../../prisma-compat/protocol.ts';
import { Link } from '../actor/link.ts';
import { type Secret, wipe } from '../actor/protocol.ts';
import { readEnvironment } from './autounlock.ts';
import { normalize } from './derive.ts';
import { KeystoreFiles } from './files.ts';
import { parseImport, wipeImport } from './import.ts';
import { MAX_PASSPHRASE, type PassphraseRead, readPassphraseFile } from './passphrase-file.ts';
import { handOn, takeIn, wipeMessage } from './passphrase-port.ts';
import { readPassphrasesFile, wipeEntries } from './passphrases-file.ts';
import {
  type ChangePlan,
  type CreatePlan,
  type PassphraseMessage,
  type PassphraseSource,
  type PoolTask,
  type Slot,
  UNANSWERED,
  type UnlockerToVault,
  type UnlockPlan,
} from './protocol.ts';
import { isLogN, MAX_LOG_N, MIN_LOG_N } from './schema.ts';

type Refused = { ok: false; refusal: string };
type CreateTask = Extract<PoolTask, { op: 'plan'; for: 'create' }>;
type ChangeTask = Extract<PoolTask, { op: 'plan'; for: 'change' }>;
type UnlockTask = Extract<PoolTask, { op: 'plan'; for: 'unlock' }>;

/** A new key tries its passphrase on so many slots before it gets one of its own. */
const MAX_TRIES = 4;
/** Slots without a key that an old passphrase is tried on: a change that is asked for again may have emptied its slot. */
const MAX_LEFT = 8;
/** Key files that are looked at to see which slots are used most. */
const SAMPLE = 1000;
const NO_SUCH_KEY = 'no such key in the keystore';
/** Parts that one task is cut into at most; each has ports of its own. */
const MAX_PARTS = 64;

/** What `create` will have to derive. */
export async function planCreate({ keystore, logN, source, timeoutMs }: CreateTask): Promise<CreatePlan | Refused> {
  const taken = await takePassphrase(source, timeoutMs);
  if (!taken.ok) return taken;
  const { message } = taken;
  try {
    if (!isLogN(logN)) return { ok: false, refusal: `logN is ${logN}: it must be from ${MIN_LOG_N} to ${MAX_LOG_N}` };
    const imported = message.imported === undefined ? null : parseImport(message.imported);
    if (imported?.ok === false) return imported;
    wipeImport(imported ?? undefined);
    const files = new KeystoreFiles(keystore);
    const found = files.slots();
    if (!found.ok) return found;

    const slots = mostUsed(found.slots, usesOf(files, found.slots, SAMPLE)).slice(0, MAX_TRIES);
    const own = imported?.form === 'ncryptsec' ? imported.logN : 0;
    const maxLogN = Math.max(logN, own, ...slots.map((slot) => slot.logN));
    const seen = found.slots.length;
    return { ok: true, slots: slots.map(({ id }) => id), seen, maxLogN, passphrase: handOn(message) };
  } finally {
    wipeMessage(message);
  }
}

/** What `change` will have to derive: for one key its own slot; for all of them every slot that a key is under. */
export async function planChange({
  keystore,
  logN,
  pubkey,
  most,
  source,
  timeoutMs,
}: ChangeTask): Promise<ChangePlan | Refused> {
  const taken = await takePassphrase(source, timeoutMs);
  if (!taken.ok) return taken;
  const { message } = taken;
  try {
    if (!isLogN(logN)) return { ok: false, refusal: `logN is ${logN}: it must be from ${MIN_LOG_N} to ${MAX_LOG_N}` };
    if (changesNothing(message)) return { ok: false, refusal: 'the new passphrase is the old one: give another' };
    const files = new KeystoreFiles(keystore);
    const found = files.slots();
    if (!found.ok) return found;
    const uses = usesOf(files, found.slots, pubkey === null ? Number.POSITIVE_INFINITY : SAMPLE);
    const byUse = mostUsed(found.slots, uses);
    const file = pubkey === null ? null : files.key(pubkey);
    if (file?.ok === false) return { ok: false, refusal: file.error };
    const { tried, untried } =
      file === null
        ? affordable(byUse, uses, most)
        : { tried: found.slots.filter(({ id }) => id === file.sealed.slot), untried: 0 };
    if (tried.length === 0) return { ok: false, refusal: file === null ? 'there are no keys' : 'key file is damaged' };

    // The last slot is what an attempt that was cut short has made.
    const slots = [...new Set([...byUse.slice(0, MAX_TRIES), ...found.slots.slice(-1)])];
    const parts = inParts(tried).map((part) => {
      const maxLogN = Math.max(logN, ...[...part, ...slots].map((slot) => slot.logN));
      return { oldSlots: part.map(({ id }) => id), maxLogN, passphrase: handOn(message) };
    });
    return { ok: true, parts, slots: slots.map(({ id }) => id), seen: found.slots.length, untried };
  } finally {
    wipeMessage(message);
  }
}

/** Sorts keys into parts by slot: a part is derived in one thread, slot after slot. */
export async function planUnlock(
  { keystore, keys, source, timeoutMs, vault, legacy }: UnlockTask,
  tools: Tools,
): Promise<UnlockPlan | Refused> {
  const link = new Link<UnlockerToVault, Record<never, never>>(vault, {});
  const taken = await takePassphrase(source, timeoutMs);
  if (!taken.ok) return taken;
  const { message, warnings } = taken;
  const opened: MessagePort[] = [];
  try {
    const files = new KeystoreFiles(keystore);
    const found = files.slots();
    if (!found.ok) return found;

    const { bySlot, absent, failed } = sortBySlot(files, found.slots, keys);
    let older: FromFile | undefined;
    if (legacy === undefined) failed.push(...absent);
    else if (absent.length > 0) older = await fromFile(legacy, absent, message.passphrase, link, tools);
    const parts: UnlockPlan['parts'] = [];
    for (const group of inParts([...bySlot])) {
      const vaultPort = await link.ask('another', null).catch(() => null);
      if (vaultPort === null) return closeAll(opened, { ok: false, refusal: UNANSWERED });
      const passphrase = handOn(message);
      opened.push(vaultPort, passphrase);
      const maxLogN = Math.max(...group.map(([slot]) => slot.logN));
      parts.push({ keys: group.flatMap(([, members]) => members), maxLogN, passphrase, vault: vaultPort });
    }
    return { ok: true, parts, failed, warnings, ...(older === undefined ? {} : { fromFile: older }) };
  } finally {
    wipeMessage(message);
    link.close();
  }
}

async function takePassphrase(
  source: PassphraseSource,
  timeoutMs: number,
): Promise<{ ok: true; message: PassphraseMessage; warnings: string[] } | Refused> {
  if (!('port' in source)) {
    const read = readSource(source);
    return read.ok ? { ok: true, message: { passphrase: read.passphrase }, warnings: read.warnings } : read;
  }
  const message = await takeIn(source.port, timeoutMs);
  if (message === null) return { ok: false, refusal: 'the passphrase did not reach the unlocker: try again' };
  const refusal =
    whyUnfit(message.passphrase, 'passphrase') ??
    whyUnfit(message.importPassphrase, 'import passphrase') ??
    whyUnfit(message.newPassphrase, 'new passphrase');
  if (refusal === null) return { ok: true, message, warnings: [] };
  wipeMessage(message);
  return { ok: false, refusal };
}

function readSource(source: Exclude<PassphraseSource, { port: MessagePort }>): PassphraseRead {
  if ('file' in source) return readPassphraseFile(source.file);
  if ('environment' in source) return readEnvironment(source.environment);
  const read = readPassphrasesFile(source.passphrases);
  if (!read.ok) return read;
  const passphrase = read.entries.get(source.entry);
  read.entries.delete(source.entry);
  wipeEntries(read.entries);
  if (passphrase !== undefined) return { ok: true, passphrase, warnings: read.warnings };
  return { ok: false, refusal: `passphrases file ${source.passphrases} was changed, and has no such entry any more` };
}

function whyUnfit(passphrase: Secret | undefined, what: string): string | null {
  if (passphrase === undefined) return null;
  if (passphrase.length === 0) return `the ${what} is empty: give one`;
  if (passphrase.length > MAX_PASSPHRASE)
    return `the ${what} is longer than ${MAX_PASSPHRASE} bytes: give a shorter one`;
  return isUtf8(passphrase) ? null : `the ${what} is not UTF-8 text: send it as UTF-8`;
}

function changesNothing({ passphrase, newPassphrase = passphrase }: PassphraseMessage): boolean {
  const [old, replacement] = [normalize(passphrase), normalize(newPassphrase)];
  try {
    return old.length === replacement.length && timingSafeEqual(old, replacement);
  } finally {
    wipe(old, replacement);
  }
}

/** How many keys are under each slot, as the first `most` key files have it (pubkeys are random). */
function usesOf(files: KeystoreFiles, slots: readonly Slot[], most: number): Map<string, number> {
  const uses = new Map(slots.map(({ id }) => [id, 0]));
  for (const pubkey of files.pubkeys().slice(0, most)) {
    const file = files.key(pubkey);
    if (file.ok) uses.set(file.sealed.slot, (uses.get(file.sealed.slot) ?? 0) + 1);
  }
  return uses;
}

/** Of those that no key uses the newest come first: all keys may have just left it, in a change that nobody heard the end of. */
function mostUsed(slots: readonly Slot[], uses: ReadonlyMap<string, number>): Slot[] {
  return slots.toReversed().sort((a, b) => uses.get(b.id)! - uses.get(a.id)!);
}

/** The slots that are worth a try, within `most` derivations at logN 17, and how many keys are under the others. */
function affordable(byUse: readonly Slot[], uses: ReadonlyMap<string, number>, most: number) {
  const isUsed = ({ id }: Slot) => uses.get(id)! > 0;
  const wanted = [...byUse.filter(isUsed), ...byUse.filter((slot) => !isUsed(slot)).slice(0, MAX_LEFT)];
  let cost = 0;
  const tried = wanted.filter(({ logN }) => {
    cost += 2 ** (logN - 17);
    return cost <= most;
  });
  const untried = wanted.slice(tried.length).reduce((keys, { id }) => keys + uses.get(id)!, 0);
  return { tried, untried };
}

type KeyRefs = UnlockTask['keys'];

function sortBySlot(
  files: KeystoreFiles,
  slots: readonly Slot[],
  keys: KeyRefs,
): { bySlot: Map<Slot, KeyRefs>; absent: UnlockPlan['failed']; failed: UnlockPlan['failed'] } {
  const byId = new Map(slots.map((slot) => [slot.id, slot]));
  const bySlot = new Map<Slot, KeyRefs>();
  const absent: UnlockPlan['failed'] = [];
  const failed: UnlockPlan['failed'] = [];
  for (const key of keys) {
    const file = files.key(key.pubkey);
    const slot = file.ok ? byId.get(file.sealed.slot) : undefined;
    if (!file.ok) (file.error === NO_SUCH_KEY ? absent : failed).push({ ...key, error: file.error });
    else if (slot === undefined) failed.push({ ...key, error: 'key file is damaged' });
    else if (bySlot.has(slot)) bySlot.get(slot)!.push(key);
    else bySlot.set(slot, [key]);
  }
  return { bySlot, absent, failed };
}

function inParts<T>(groups: T[]): T[][] {
  const size = Math.ceil(groups.length / MAX_PARTS);
  const parts: T[][] = [];
  for (let i = 0; i < groups.length; i += size) parts.push(groups.slice(i, i + size));
  return parts;
}

function closeAll<T>(ports: MessagePort[], answer: T): T {
  for (const port of ports) port.close();
  return answer;
}
