import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Link } from '../../src/actor/link.ts';
import { KeystoreFiles } from '../../src/keystore/files.ts';
import { handOn } from '../../src/keystore/passphrase-port.ts';
import type { UnlockerToVault } from '../../src/keystore/protocol.ts';
import { parseSlots } from '../../src/keystore/schema.ts';
import { makeSlot } from '../../src/keystore/slot.ts';
import { unlock } from '../../src/keystore/unlock.ts';
import { bytes, LOG_N, random, sealed, temporaryFolder } from './setup.ts';

const PASSPHRASE = 'correct horse';
const { slot, kek } = makeSlot(bytes(PASSPHRASE), LOG_N, random);

type KeyRef = { name: string; pubkey: string };

/** Runs the unlock task in this thread. @returns names of the keys that the vault got, and why others were not */
async function attempt(keystore: string, keys: KeyRef[], passphrase = PASSPHRASE) {
  const { port1, port2 } = new MessageChannel();
  const kept: string[] = [];
  new Link<Record<never, never>, UnlockerToVault>(port1, {
    keep: ({ sealed }) => {
      kept.push(sealed.name);
      return null;
    },
    another: () => assert.unreachable() as never,
  });
  const port = handOn({ passphrase: bytes(passphrase) });
  const task = { keystore, maxLogN: LOG_N, keys, passphrase: port, timeoutMs: 1000, vault: port2 };
  const result = await unlock({ op: 'unlock', ...task });
  port2.close();
  const errors = Object.fromEntries(result.failed.map(({ name, error }) => [name, error]));
  return { kept, errors };
}

function write(keystore: string, name: string, content: string | Uint8Array): void {
  mkdirSync(keystore, { recursive: true });
  writeFileSync(join(keystore, name), content);
}

const slotsFile = JSON.stringify({ version: 1, slots: [slot] });

test('a key file with any one bit changed is damaged, is told apart from a wrong passphrase, and harms no other', async () => {
  const keystore = temporaryFolder();
  write(keystore, 'keystore.json', slotsFile);
  const length = JSON.stringify(sealed('000', slot, kek).file).length;
  const keys: KeyRef[] = [];
  for (let i = 0; i < length; i++) {
    const name = String(i).padStart(3, '0');
    const { file } = sealed(name, slot, kek);
    const content = new TextEncoder().encode(JSON.stringify(file));
    content[i]! ^= 1 << (i % 8);
    write(keystore, `${file.pubkey}.json`, content);
    keys.push({ name, pubkey: file.pubkey });
  }
  const whole = sealed('whole', slot, kek).file;
  write(keystore, `${whole.pubkey}.json`, JSON.stringify(whole));

  const { kept, errors } = await attempt(keystore, [...keys, { name: 'whole', pubkey: whole.pubkey }]);
  assert.equal(kept, ['whole']);
  assert.equal(Object.keys(errors).length, length);
  assert.equal([...new Set(Object.values(errors))], ['key file is damaged']);
});

test('a key file that was exchanged, cut short, grown or renamed is damaged', async () => {
  const keystore = temporaryFolder();
  write(keystore, 'keystore.json', slotsFile);
  const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map((name) => sealed(name, slot, kek).file) as [
    ...Array<ReturnType<typeof sealed>['file']>,
  ];
  write(keystore, `${a!.pubkey}.json`, JSON.stringify(b));
  write(keystore, `${b!.pubkey}.json`, JSON.stringify({ ...b, ciphertext: a!.ciphertext, nonce: a!.nonce }));
  write(keystore, `${c!.pubkey}.json`, JSON.stringify(c).slice(0, -1));
  write(keystore, `${d!.pubkey}.json`, JSON.stringify(d) + ' '.repeat(600_000));
  write(keystore, `${e!.pubkey}.json`, JSON.stringify(e));
  const refs = [a!, b!, c!, d!].map(({ name, pubkey }) => ({ name, pubkey }));
  const { kept, errors } = await attempt(keystore, [...refs, { name: 'another', pubkey: e!.pubkey }]);
  assert.equal(kept, []);
  const damaged = 'key file is damaged';
  assert.equal(errors, { a: damaged, b: damaged, c: damaged, d: damaged, another: damaged });
});

test('keystore.json with any one bit changed unlocks nothing, and is not taken for a wrong passphrase', async () => {
  const keystore = temporaryFolder();
  const { file } = sealed('key', slot, kek);
  write(keystore, `${file.pubkey}.json`, JSON.stringify(file));
  const content = new TextEncoder().encode(slotsFile);
  let derived = 0;
  for (let i = 0; i < content.length; i++) {
    const changed = content.slice();
    changed[i]! ^= 1 << (i % 8);
    write(keystore, 'keystore.json', changed);
    const found = new KeystoreFiles(keystore).slots();
    // A changed salt or check costs a derivation to notice: a few of them are enough here.
    if (found.ok && found.slots[0]!.id === slot.id && derived++ % 6 !== 0) continue;
    const { kept, errors } = await attempt(keystore, [{ name: 'key', pubkey: file.pubkey }]);
    assert.equal(kept, []);
    assert.match(errors.key!, /damaged/, `byte ${i}`);
  }
  assert.ok(derived > 12);
});

test('a file under the name of another key is damaged, even when both keys have one name', async () => {
  const keystore = temporaryFolder();
  write(keystore, 'keystore.json', slotsFile);
  const [a, b] = [sealed('same', slot, kek).file, sealed('same', slot, kek).file];
  write(keystore, `${a.pubkey}.json`, JSON.stringify(b));
  const { kept, errors } = await attempt(keystore, [{ name: 'same', pubkey: a.pubkey }]);
  assert.equal(kept, []);
  assert.equal(errors, { same: 'key file is damaged' });
});

test('base64 has one spelling', () => {
  // 32 bytes leave two bits of the last digit unused: `Hw8=` and `Hw9=` are the same bytes.
  const spelled = (salt: string) => JSON.stringify({ version: 1, slots: [{ ...slot, salt }] });
  const salt = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
  assert.ok(parseSlots(bytes(spelled(salt))));
  for (const other of [salt.replace('8=', '9='), salt.replace('=', ''), salt.replace('AAEC', 'AA-C'), ` ${salt}`]) {
    assert.is(parseSlots(bytes(spelled(other))), null, other);
  }
});

test('a wrong passphrase is called so', async () => {
  const keystore = temporaryFolder();
  const { file } = sealed('key', slot, kek);
  write(keystore, 'keystore.json', slotsFile);
  write(keystore, `${file.pubkey}.json`, JSON.stringify(file));
  const { kept, errors } = await attempt(keystore, [{ name: 'key', pubkey: file.pubkey }], `${PASSPHRASE} `);
  assert.equal(kept, []);
  assert.equal(errors, { key: 'wrong passphrase' });
});

test('scrypt parameters in keystore.json are checked before they are used', async () => {
  const keystore = temporaryFolder();
  const { file } = sealed('key', slot, kek);
  write(keystore, `${file.pubkey}.json`, JSON.stringify(file));
  for (const change of [
    { logN: 13 },
    { logN: 23 },
    { logN: 14.5 },
    { logN: '14' },
    { r: 16 },
    { p: 2 },
    { salt: '' },
  ]) {
    write(keystore, 'keystore.json', JSON.stringify({ version: 1, slots: [{ ...slot, ...change }] }));
    const { errors } = await attempt(keystore, [{ name: 'key', pubkey: file.pubkey }]);
    assert.match(errors.key!, /keystore\.json is damaged/, JSON.stringify(change));
  }
});

test.run();
