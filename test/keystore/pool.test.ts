import { chmodSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { nsecEncode } from 'nostr-tools/nip19';
import * as nip49 from 'nostr-tools/nip49';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KeystoreFiles } from '../../src/keystore/files.ts';
import { planCreate } from '../../src/keystore/plan.ts';
import type { CreateResult } from '../../src/keystore/protocol.ts';
import { makeSlot } from '../../src/keystore/slot.ts';
import { bytes, Custodian, LOG_N, newKey, passphrase, random, sealed, temporaryFolder } from './setup.ts';

type SlotsFile = { slots: { id: string; logN: number }[] };
const slotsOf = (keystore: string): SlotsFile['slots'] => {
  return (JSON.parse(readFileSync(join(keystore, 'keystore.json'), 'utf8')) as SlotsFile).slots;
};
const refusal = (result: CreateResult) => (result.ok ? `made ${result.pubkey}` : result.refusal);

/** Runs a test with a pool and a vault of its own. */
async function withCustodian(work: (custodian: Custodian) => Promise<void>, options = {}): Promise<void> {
  const custodian = new Custodian(options);
  try {
    await custodian.pool.prepare(custodian.keystore);
    await work(custodian);
  } finally {
    await custodian.close();
  }
}

test('prepare makes the folder, and removes what a crash left', () =>
  withCustodian(async ({ pool, keystore }) => {
    assert.is(statSync(keystore).mode & 0o777, 0o700);
    writeFileSync(join(keystore, '.keystore.json.0123456789abcdef.tmp'), '{"version"');
    writeFileSync(join(keystore, 'notes.txt'), 'not ours');
    assert.equal(await pool.prepare(keystore), { ok: true, keys: 0, slots: 0 });
    assert.equal(readdirSync(keystore), ['notes.txt']);
    writeFileSync(join(keystore, 'keystore.json'), '{');
    assert.match(((await pool.prepare(keystore)) as { refusal: string }).refusal, /keystore\.json is damaged/);
  }));

test('a created key is unlocked at once, and again after it was locked', () =>
  withCustodian(async (custodian) => {
    const pubkey = await custodian.created('atm 7', passphrase('correct horse'));
    assert.ok(await custodian.isUnlocked(pubkey));
    await custodian.vault.ask('forget', { pubkey });
    assert.not.ok(await custodian.isUnlocked(pubkey));

    const key = { name: 'atm 7', pubkey };
    const wrong = await custodian.unlock([key], passphrase('correct horses'));
    assert.equal(wrong, { unlocked: [], failed: [{ ...key, error: 'wrong passphrase' }] });
    assert.not.ok(await custodian.isUnlocked(pubkey));
    assert.equal(await custodian.unlock([key], passphrase('correct horse')), { unlocked: [pubkey], failed: [] });
    assert.ok(await custodian.isUnlocked(pubkey));
  }));

test('keys with one passphrase share a slot, in whatever normal form it is typed', () =>
  withCustodian(async (custodian) => {
    await custodian.created('a', passphrase('pässword'.normalize('NFC')));
    await custodian.created('b', passphrase('pässword'.normalize('NFD')));
    assert.is(slotsOf(custodian.keystore).length, 1);
    await custodian.created('c', passphrase('other'));
    assert.is(slotsOf(custodian.keystore).length, 2);
    await custodian.created('d', passphrase('other'));
    assert.is(slotsOf(custodian.keystore).length, 2);
  }));

test('of more than four slots the most used are tried, and of unused ones the newest', async () => {
  const keystore = temporaryFolder();
  const { slot, kek } = makeSlot(bytes('x'), LOG_N, random);
  const slots = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => ({ ...slot, id }));
  writeFileSync(join(keystore, 'keystore.json'), JSON.stringify({ version: 1, slots }));
  const files = new KeystoreFiles(keystore);
  for (const id of ['f', 'f', 'f', 'd', 'd', 'b']) files.writeKey(sealed('key', { ...slot, id }, kek).file);

  const source = passphrase('x');
  const task = { op: 'plan', for: 'create', keystore, logN: LOG_N, source, timeoutMs: 1000 } as const;
  const plan = await planCreate(task);
  if (!plan.ok) throw new Error(plan.refusal);
  plan.passphrase.close();
  assert.equal(plan.slots, ['f', 'd', 'b', 'e']);
  assert.is(plan.seen, 6);
});

test('keys made at the same time: each new passphrase gets its slot, and one passphrase gets one', () =>
  withCustodian(
    async (custodian) => {
      const made = await Promise.all(
        ['x', 'y', 'x', 'y'].map(async (p, i) => ({
          name: `key ${i}`,
          pubkey: await custodian.created(`key ${i}`, passphrase(p)),
        })),
      );
      assert.is(slotsOf(custodian.keystore).length, 2);
      const opened = await custodian.unlock(made, passphrase('x'));
      assert.equal(opened.unlocked.sort(), [made[0]!.pubkey, made[2]!.pubkey].sort());
      assert.equal([...new Set(opened.failed.map(({ error }) => error))], ['wrong passphrase']);
    },
    { cores: 4 },
  ));

test('one key that cannot be unlocked does not stop the rest, and each says why', () =>
  withCustodian(async (custodian) => {
    const keys: { name: string; pubkey: string }[] = [];
    for (const name of ['a', 'b', 'c', 'd']) {
      keys.push({ name, pubkey: await custodian.created(name, passphrase(name === 'd' ? 'own' : 'shared')) });
    }
    await custodian.vault.ask('forgetAll', null);
    const [a, b, c, d] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
    writeFileSync(join(custodian.keystore, `${a.pubkey}.json`), '{"version":1}');
    unlinkSync(join(custodian.keystore, `${b.pubkey}.json`));
    const { unlocked, failed } = await custodian.unlock(keys, passphrase('shared'));
    assert.equal(unlocked, [c.pubkey]);
    assert.equal(Object.fromEntries(failed.map(({ name, error }) => [name, error])), {
      a: 'key file is damaged',
      b: 'no such key in the keystore',
      d: 'wrong passphrase',
    });
    assert.equal(await Promise.all(keys.map(({ pubkey }) => custodian.isUnlocked(pubkey))), [
      false,
      false,
      true,
      false,
    ]);
    assert.ok(d);
  }));

test('a key is imported from nsec, hex and ncryptsec, and once only', () =>
  withCustodian(async (custodian) => {
    const keys = [newKey(), newKey(), newKey()];
    const [nsec, hex, sealed] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
    const ncryptsec = bytes(nip49.encrypt(sealed.privateKey, 'its own', LOG_N));
    const text = bytes(nsecEncode(nsec.privateKey));
    assert.is(await custodian.created('nsec', passphrase('p', { imported: text })), nsec.pubkey);
    const digits = bytes(Buffer.from(hex.privateKey).toString('hex'));
    assert.is(await custodian.created('hex', passphrase('p', { imported: digits })), hex.pubkey);
    const more = { imported: ncryptsec, importPassphrase: bytes('its own') };
    assert.is(await custodian.created('ncryptsec', passphrase('p', more)), sealed.pubkey);

    const taken = [{ pubkey: nsec.pubkey, refusal: 'it is here already' }];
    const again = await custodian.create('another', passphrase('p', { imported: text }), taken);
    assert.is(refusal(again), 'it is here already');
    // When its row was never committed it may be imported again, also with another passphrase and under another name.
    assert.is(await custodian.created('other', passphrase('new', { imported: text })), nsec.pubkey);
    const other = [{ name: 'other', pubkey: nsec.pubkey }];
    assert.equal((await custodian.unlock(other, passphrase('new'))).unlocked, [nsec.pubkey]);
  }));

test('what cannot be made is refused in words, and leaves no file', () =>
  withCustodian(async (custodian) => {
    const imported = (text: string) => passphrase('p', { imported: bytes(text) });
    const zero = '0'.repeat(64);
    const order = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';
    const ncryptsec = nip49.encrypt(newKey().privateKey, 'own', LOG_N);
    const wrong = passphrase('p', { imported: bytes(ncryptsec), importPassphrase: bytes('wrong') });
    assert.match(refusal(await custodian.create('k', passphrase(''))), /the passphrase is empty/);
    assert.match(refusal(await custodian.create('k/../k', passphrase('p'))), /a key name has 1 to 128/);
    assert.match(refusal(await custodian.create('k', imported(zero))), /not a private key: it is zero or not below/);
    assert.match(refusal(await custodian.create('k', imported(order))), /not a private key: it is zero or not below/);
    assert.match(refusal(await custodian.create('k', imported('junk'))), /cannot be read/);
    assert.match(refusal(await custodian.create('k', imported(ncryptsec))), /passphrase of its own/);
    assert.match(refusal(await custodian.create('k', wrong)), /wrong passphrase of the ncryptsec/);
    assert.equal(readdirSync(custodian.keystore), []);
  }));

test('a passphrase comes from a file too; what is wrong with it is told apart from the keys', () =>
  withCustodian(async (custodian) => {
    const folder = temporaryFolder();
    const file = join(folder, 'passphrase');
    writeFileSync(file, 'from a file\r\n', { mode: 0o600 });
    const pubkey = await custodian.created('k', { file });
    const keys = [{ name: 'k', pubkey }];
    assert.equal(await custodian.unlock(keys, passphrase('from a file')), { unlocked: [pubkey], failed: [] });
    chmodSync(file, 0o644);
    const warned = await custodian.unlock(keys, { file });
    assert.equal(warned.unlocked, [pubkey]);
    assert.match(warned.warnings![0]!, /can be read by group or others/);
    rmSync(file);
    const missing = await custodian.unlock(keys, { file });
    assert.match(missing.refusal!, /passphrase does not exist/);
    assert.is(missing.failed[0]!.error, missing.refusal);
    assert.match(refusal(await custodian.create('l', { file })), /passphrase does not exist/);
  }));

test('a passphrase that never comes is not waited for without end, and its thread is free again', () =>
  withCustodian(
    async (custodian) => {
      const silent = new MessageChannel();
      const pending = custodian.create('k', { port: silent.port2 });
      assert.match(refusal(await pending), /did not reach the unlocker/);
      silent.port1.close();
      const dead = new MessageChannel();
      dead.port1.close();
      assert.match(refusal(await custodian.create('k', { port: dead.port2 })), /did not reach the unlocker/);
      const wrong = new MessageChannel();
      wrong.port1.postMessage({ passphrase: 'a string' });
      assert.match(refusal(await custodian.create('k', { port: wrong.port2 })), /did not reach the unlocker/);
      assert.ok((await custodian.create('k', passphrase('p'))).ok);
    },
    { cores: 1, passphraseMs: 150 },
  ));

test('a vault that is gone is not waited for, and the key is not half made', () =>
  withCustodian(async (custodian) => {
    const { keystore, pool } = custodian;
    const pubkey = await custodian.created('k', passphrase('p'));
    const [first, second, third] = [new MessageChannel(), new MessageChannel(), new MessageChannel()];
    const task = { keystore, source: passphrase('p'), vault: first.port2 };
    const unlocked = pool.unlock({ op: 'unlock', ...task, keys: [{ name: 'k', pubkey }] });
    setTimeout(() => first.port1.close(), 30);
    assert.match((await unlocked).refusal!, /the vault (did not answer|is gone)/);

    // It dies when the key is on disk already: what was made is removed, what was imported stays.
    const create = (name: string, { port1, port2 }: MessageChannel, more = {}) => {
      port1.on('message', () => port1.close());
      const made = { keystore, source: passphrase('p', more), vault: port2, name, taken: [] };
      return pool.create({ op: 'create', logN: LOG_N, ...made });
    };
    assert.match(refusal(await create('l', second)), /the vault did not answer/);
    assert.equal(readdirSync(keystore).sort(), [`${pubkey}.json`, 'keystore.json'].sort());
    const key = newKey();
    const imported = bytes(nsecEncode(key.privateKey));
    assert.match(refusal(await create('m', third, { imported })), /the vault did not answer/);
    assert.ok(readdirSync(keystore).includes(`${key.pubkey}.json`));
  }));

test('a pool with too much to do says busy at once, and does what it took in', () =>
  withCustodian(
    async (custodian) => {
      const keys = [{ name: 'k', pubkey: newKey().pubkey }];
      const results = await Promise.all(Array.from({ length: 40 }, () => custodian.unlock(keys, passphrase('p'))));
      const errors = results.map(({ failed }) => failed[0]!.error);
      assert.is(errors.filter((error) => error === 'busy').length, 7);
      assert.is(errors.filter((error) => error === 'no such key in the keystore').length, 33);
      assert.match(refusal(await custodian.create('k', passphrase(''))), /empty/);
    },
    { cores: 1 },
  ));

test('a derivation that takes more memory than there may be is refused before it starts', () =>
  withCustodian(
    async (custodian) => {
      assert.match(
        refusal(await custodian.create('k', passphrase('p'))),
        /16 MiB .* more than a quarter of the memory/,
      );
      assert.equal(readdirSync(custodian.keystore), []);
    },
    { memory: 15 * 2 ** 20 },
  ));

test('what is at work when the pool closes is refused, not left open', async () => {
  const custodian = new Custodian({ cores: 1 });
  const vaults = await Promise.all([1, 2].map(() => custodian.vault.ask('intake', null)));
  const create = (name: string, vault: (typeof vaults)[0]) =>
    custodian.pool.create({
      ...{ op: 'create', keystore: custodian.keystore, logN: 16, name, source: passphrase('p'), vault, taken: [] },
    } as never);
  const pending = Promise.all(vaults.map((vault, i) => create(`key ${i}`, vault)));
  await sleep(60);
  await custodian.close();
  for (const result of await pending) assert.match(refusal(result), /the daemon is stopping/);
  const late = new MessageChannel();
  const task = { keystore: custodian.keystore, keys: [], source: passphrase('p'), vault: late.port2 };
  assert.match((await custodian.pool.unlock({ op: 'unlock', ...task })).refusal!, /the daemon is stopping/);
});

test('a keystore that cannot be written is named, with the reason', () =>
  withCustodian(async (custodian) => {
    const file = join(temporaryFolder(), 'a file');
    writeFileSync(file, '');
    const vault = await custodian.vault.ask('intake', null);
    const keystore = join(file, 'keystore');
    const create = { keystore, logN: LOG_N, name: 'k', source: passphrase('p'), vault, taken: [] };
    const made = await custodian.pool.create({ op: 'create', ...create });
    assert.match(refusal(made), /the keystore .*a file\/keystore cannot be used \(ENOTDIR at mkdir\)/);
  }));

test.run();
