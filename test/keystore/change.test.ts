// deadline: 120 s
/** Keys are sealed anew under another passphrase, one or all. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KeystoreFiles } from '../../src/keystore/files.ts';
import { handOn } from '../../src/keystore/passphrase-port.ts';
import type { UnlockPoolOptions } from '../../src/keystore/pool.ts';
import type { ChangeResult, Slot } from '../../src/keystore/protocol.ts';
import { makeSlot } from '../../src/keystore/slot.ts';
import { openKeyFile } from '../probe/key-file.ts';
import { bytes, Custodian, LOG_N, passphrase, random, sealed } from './setup.ts';

const custodian = new Custodian();
const keys: { [name: string]: { name: string; pubkey: string } } = {};
test.before(async () => {
  for (const [name, of] of [
    ['a', 'shared'],
    ['b', 'shared'],
    ['c', 'shared'],
    ['own', 'its own'],
  ] as const) {
    keys[name] = { name, pubkey: await custodian.created(name, passphrase(of)) };
  }
});
test.after(() => custodian.close());

function change(name: string | null, old: string, replacement: string): Promise<ChangeResult> {
  const source = { port: handOn({ passphrase: bytes(old), newPassphrase: bytes(replacement) }) };
  const pubkey = name === null ? null : keys[name]!.pubkey;
  return custodian.pool.change({ op: 'change', keystore: custodian.keystore, logN: LOG_N, pubkey, source });
}

const opens = (name: string, of: string) => {
  try {
    return openKeyFile(custodian.keystore, name, of).privateKey;
  } catch {
    return null;
  }
};
const slotOf = (name: string) => {
  const path = join(custodian.keystore, `${keys[name]!.pubkey}.json`);
  return (JSON.parse(readFileSync(path, 'utf8')) as { slot: string }).slot;
};

test('one key gets a passphrase of its own, and the others keep theirs', async () => {
  const before = opens('a', 'shared');
  assert.ok(before);
  assert.equal(await change('a', 'shared', 'another'), { ok: true, changed: 1, failed: [] });
  assert.equal(opens('a', 'another'), before);
  assert.is(opens('a', 'shared'), null);
  assert.ok(opens('b', 'shared'));
  assert.is.not(slotOf('a'), slotOf('b'));
  assert.equal((await custodian.unlock([keys.a!], passphrase('another'))).unlocked, [keys.a!.pubkey]);
});

test('it joins the keys that have the new passphrase already: a sweep derives once for them', async () => {
  assert.equal(await change('a', 'another', 'shared'), { ok: true, changed: 1, failed: [] });
  assert.is(slotOf('a'), slotOf('b'));
});

test('all keys that the old passphrase opens move to one slot, and those of another stay', async () => {
  const own = slotOf('own');
  assert.equal(await change(null, 'shared', 'new for all'), { ok: true, changed: 3, failed: [] });
  for (const name of ['a', 'b', 'c']) {
    assert.ok(opens(name, 'new for all'));
    assert.is(opens(name, 'shared'), null);
  }
  assert.is(new Set(['a', 'b', 'c'].map(slotOf)).size, 1);
  assert.is(slotOf('own'), own);
  // As after a kill in between: some have moved, and nobody knows.
  assert.equal(await change(null, 'shared', 'new for all'), { ok: true, changed: 0, failed: [] });
  assert.ok(opens('a', 'new for all'));
});

test('what was cut short halfway is finished by the same command, with the same slot', async () => {
  assert.equal(await change('a', 'new for all', 'next'), { ok: true, changed: 1, failed: [] });
  assert.equal(await change(null, 'new for all', 'next'), { ok: true, changed: 2, failed: [] });
  assert.is(new Set(['a', 'b', 'c'].map(slotOf)).size, 1);
});

test('what is done already may be asked for again, however many passphrases there were', async () => {
  for (let i = 0; i < 6; i++) {
    const done = await change(null, i === 0 ? 'next' : `passphrase ${i - 1}`, `passphrase ${i}`);
    assert.equal(done, { ok: true, changed: 3, failed: [] });
  }
  assert.equal(await change(null, 'passphrase 4', 'passphrase 5'), { ok: true, changed: 0, failed: [] });
  assert.equal(await change(null, 'passphrase 5', 'next'), { ok: true, changed: 3, failed: [] });
});

test('so may the change of one key', async () => {
  assert.equal(await change('a', 'next', 'its own'), { ok: true, changed: 1, failed: [] });
  assert.equal(await change('a', 'next', 'its own'), { ok: true, changed: 0, failed: [] });
  assert.ok(opens('a', 'its own'));
  assert.equal(await change('a', 'its own', 'next'), { ok: true, changed: 1, failed: [] });
});

test('what cannot be done is said, and nothing is written', async () => {
  const files = () =>
    readdirSync(custodian.keystore).map((file) => [file, readFileSync(join(custodian.keystore, file), 'utf8')]);
  const before = files();
  const refused = async (...args: Parameters<typeof change>) => {
    const result = await change(...args);
    return result.ok ? 'it was done' : result.refusal;
  };
  assert.is(await refused('a', 'wrong', 'x'), 'wrong passphrase');
  assert.is(await refused(null, 'wrong', 'x'), 'wrong passphrase');
  assert.match(await refused('a', 'next', 'next'), /^the new passphrase is the old one/);
  assert.match(await refused(null, 'next', 'next'), /^the new passphrase is the old one/);
  assert.match(await refused('a', 'next', ''), /^the new passphrase is empty/);
  assert.match(await refused('a', 'next', 'x'.repeat(5000)), /^the new passphrase is longer than 4096 bytes/);
  assert.equal(files(), before);
});

test('a damaged file is named, and keeps no other from its new passphrase', async () => {
  const path = join(custodian.keystore, `${keys.b!.pubkey}.json`);
  const file = JSON.parse(readFileSync(path, 'utf8')) as { ciphertext: string };
  const ciphertext = Buffer.from(file.ciphertext, 'base64');
  ciphertext[0]! ^= 1;
  writeFileSync(path, JSON.stringify({ ...file, ciphertext: ciphertext.toString('base64') }));
  const failed = [{ name: 'b', error: 'key file is damaged' }];
  assert.equal(await change(null, 'next', 'last'), { ok: true, changed: 2, failed });
  assert.ok(opens('a', 'last') && opens('c', 'last'));
  assert.equal(await change('b', 'next', 'last'), { ok: false, refusal: 'key file is damaged' });
});

/** A keystore with one slot for each of `fleets`, in their order, and that fleet's keys under it. */
async function withFleets(
  fleets: { of: string; names: string[] }[],
  use: (custodian: Custodian, change: (old: string) => Promise<ChangeResult>) => Promise<void>,
  options: Partial<UnlockPoolOptions> = {},
): Promise<void> {
  const custodian = new Custodian(options);
  const { keystore, pool } = custodian;
  const files = new KeystoreFiles(keystore);
  const slots: Slot[] = [];
  try {
    for (const { of, names } of fleets) {
      const { slot, kek } = makeSlot(bytes(of), LOG_N, random);
      slots.push(slot);
      for (const name of names) files.writeKey(sealed(name, slot, kek).file);
    }
    writeFileSync(join(keystore, 'keystore.json'), JSON.stringify({ version: 1, slots }));
    await use(custodian, (old) => {
      const source = passphrase(old, { newPassphrase: bytes('new') });
      return pool.change({ op: 'change', keystore, logN: LOG_N, pubkey: null, source });
    });
  } finally {
    await custodian.close();
  }
}

test('a change of all keys leaves none behind, whatever slots the old passphrase has', async () => {
  const others = [...'BCDEFGHI'].map((of) => ({ of, names: [`${of} 1`, `${of} 2`] }));
  const fleets = [{ of: 'leaked', names: ['first'] }, ...others, { of: 'leaked', names: ['last'] }];
  await withFleets(fleets, async ({ keystore }, changeAll) => {
    assert.equal(await changeAll('leaked'), { ok: true, changed: 2, failed: [] });
    assert.ok(openKeyFile(keystore, 'first', 'new'));
    assert.ok(openKeyFile(keystore, 'last', 'new'));
    const { slots } = JSON.parse(readFileSync(join(keystore, 'keystore.json'), 'utf8'));
    assert.is(slots.length, fleets.length + 1, 'one slot for both');
  });
});

test('a change of all keys that would take too long tells how many it has not tried', async () => {
  const fleets = [
    { of: 'shared', names: ['a', 'b'] },
    { of: 'older', names: ['c'] },
    { of: 'newer', names: ['d'] },
  ];
  const use = async (_: Custodian, changeAll: (old: string) => Promise<ChangeResult>) => {
    assert.equal(await changeAll('older'), { ok: false, refusal: 'wrong passphrase', untried: 1 });
    assert.equal(await changeAll('shared'), { ok: true, changed: 2, failed: [], untried: 1 });
  };
  // As much work as two derivations at logN 14.
  await withFleets(fleets, use, { mostToChange: 1 / 4 });
});

test.run();
