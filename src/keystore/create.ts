import { Link } from '../actor/link.ts';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import type { Curve } from '../curve/curve.ts';
import { pubkeyOf } from '../curve/pubkey-of.ts';
import type { Random } from '../curve/random.ts';
import { deriveUnsealingKey } from './derive.ts';
import { KeystoreFiles } from './files.ts';
import { findSlot } from './find-slot.ts';
import { type Imported, openImport, parseImport, wipeImport } from './import.ts';
import { keep } from './keep.ts';
import { Lock } from './lock.ts';
import { takeIn, wipeMessage } from './passphrase-port.ts';
import {
  type CreateResult,
  type PassphraseMessage,
  type PoolTask,
  UNANSWERED,
  type UnlockerToVault,
} from './protocol.ts';
import { seal } from './seal.ts';

type CreateTask = Extract<PoolTask, { op: 'create' }>;
type Refused = { ok: false; refusal: string };

const NEW_NAME = /^[A-Za-z0-9._@ -]{1,128}$/;

/** Makes a key, or takes an imported one: sealed on disk, unlocked in the vault, and then its pubkey is told. */
export async function create(task: CreateTask, random: Random, loadCurve: () => Promise<Curve>): Promise<CreateResult> {
  const link = new Link<UnlockerToVault, Record<never, never>>(task.vault, {});
  const message = await takeIn(task.passphrase, task.timeoutMs);
  let privateKey: Secret | undefined;
  let kek: Secret | undefined;
  let unsealingKey: Secret | undefined;
  try {
    if (message === null) return refuse('the passphrase did not reach the unlocker: try again');
    if (!NEW_NAME.test(task.name)) return refuse('a key name has 1 to 128 letters, digits, spaces or . _ @ -');
    const own = await ownKey(message, await loadCurve(), random);
    if (!own.ok) return own;
    const { pubkey } = own;
    privateKey = own.privateKey;
    const files = new KeystoreFiles(task.keystore);
    const taken = task.taken.find((key) => key.pubkey === pubkey);
    if (taken !== undefined) return refuse(taken.refusal);
    // A key file without a row is what an attempt left behind that was cut short. It holds this very key: it is replaced.

    const found = findSlot(files, message.passphrase, task, new Lock(task.lock), random);
    if (!found.ok) return found;
    kek = found.kek;
    unsealingKey = deriveUnsealingKey(kek, pubkey);
    const sealed = seal({ name: task.name, pubkey, privateKey }, found.slot, unsealingKey, random(24));
    files.writeKey(sealed);
    if (!(await keep(link, { sealed, slot: found.slot, unsealingKey }))) {
      // A key that was made here was told to nobody; an imported one may be all that its owner has.
      if (message.imported === undefined) files.removeKey(pubkey);
      return refuse(UNANSWERED);
    }
    return { ok: true, pubkey };
  } finally {
    if (message !== null) wipeMessage(message);
    wipe(privateKey, kek, unsealingKey);
    link.close();
  }
}

/** The private key, for the caller to wipe, and its pubkey in hex. */
async function ownKey(
  message: PassphraseMessage,
  curve: Curve,
  random: Random,
): Promise<{ ok: true; privateKey: Secret; pubkey: string } | Refused> {
  if (message.imported === undefined) return generate(curve, random);
  const imported: Imported = parseImport(message.imported);
  if (!imported.ok) return imported;
  try {
    const opened = openImport(imported, message.importPassphrase);
    if (!opened.ok) return opened;
    const pubkey = pubkeyOf(curve, opened.privateKey);
    if (pubkey === null) {
      wipe(opened.privateKey);
      return refuse('the key to import is not a private key: it is zero or not below the order of the curve');
    }
    const privateKey = newSecret(32);
    privateKey.set(opened.privateKey);
    wipe(opened.privateKey);
    return { ok: true, privateKey, pubkey };
  } finally {
    wipeImport(imported);
  }
}

function generate(curve: Curve, random: Random): { ok: true; privateKey: Secret; pubkey: string } {
  for (;;) {
    const privateKey = newSecret(32);
    const bytes = random(32);
    privateKey.set(bytes);
    wipe(bytes);
    const pubkey = pubkeyOf(curve, privateKey);
    if (pubkey !== null) return { ok: true, privateKey, pubkey };
  }
}

function refuse(refusal: string): Refused {
  return { ok: false, refusal };
}
