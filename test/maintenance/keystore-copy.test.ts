/** What a backup makes of a keystore whose files are damaged, missing, or there and not to be read. */
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyFolder, legacyInstallation, runOn, withDatabase } from './installation.ts';

const A = 'aa'.repeat(32);
const B = 'bb'.repeat(32);
const base64 = (bytes: number) => Buffer.alloc(bytes, 1).toString('base64');
const slot = (id: string) => ({ id, salt: base64(32), logN: 14, r: 8, p: 1, check: base64(32) });

interface Sealed {
  data: string;
  slots: string;
  a: string;
  b: string;
}

/** An installation with two sealed keys under one slot. */
function sealed(): Sealed {
  const { data, database } = legacyInstallation();
  const keystore = join(data, 'keystore');
  mkdirSync(keystore, { mode: 0o700 });
  const write = (name: string, value: unknown) => {
    writeFileSync(join(keystore, name), JSON.stringify(value), { mode: 0o600 });
    return join(keystore, name);
  };
  const key = { version: 1, slot: 'one', nonce: base64(24), ciphertext: base64(48) };
  withDatabase(database, (db) => {
    const add = db.prepare('INSERT INTO Key (keyName, pubkey, updatedAt) VALUES (?, ?, 1)');
    add.run('a', A);
    add.run('b', B);
  });
  return {
    data,
    slots: write('keystore.json', { version: 1, slots: [slot('one')] }),
    a: write(`${A}.json`, { ...key, name: 'a', pubkey: A }),
    b: write(`${B}.json`, { ...key, name: 'b', pubkey: B }),
  };
}

async function backUp(data: string) {
  const file = join(emptyFolder(), 'archive');
  const { code, out, err } = await runOn(data, 'backup', file, '--plain', '--json');
  return { code, err, made: existsSync(file), file, warnings: out === '' ? null : JSON.parse(out).warnings };
}

/** As root reads whatever has a mode, a link to itself stands for a file that is there and cannot be read. */
function makeUnreadable(path: string): void {
  rmSync(path);
  symlinkSync(path, path);
}

test('a keystore that is whole: nothing to warn of, exit code 0', async () => {
  const { code, err, made, warnings } = await backUp(sealed().data);
  assert.equal([code, made, warnings], [0, true, []], err);
});

for (const which of ['slots', 'a'] as const) {
  test(`a file that cannot be read ends the backup: ${which}`, async () => {
    const installation = sealed();
    makeUnreadable(installation[which]);
    const { code, err, made } = await backUp(installation.data);
    assert.equal([code, made], [1, false]);
    assert.ok(err.includes(`the backup was not made (ELOOP, ${installation[which]}): nothing is left of it`), err);
  });
}

const FAULTS: [name: string, spoil: (files: Sealed) => void, warning: (files: Sealed) => string][] = [
  ['damaged', ({ a }) => writeFileSync(a, '{}'), ({ a }) => `${a} is damaged, here and in the archive`],
  ['missing', ({ a }) => rmSync(a), () => 'keys without a file, here and in the archive: a'],
  [
    'without its slot',
    ({ a, slots }) => {
      rmSync(a);
      writeFileSync(slots, JSON.stringify({ version: 1, slots: [slot('two')] }));
    },
    ({ b }) => `${b} lacks its slot in keystore.json, here and in the archive`,
  ],
];
for (const [name, spoil, warning] of FAULTS) {
  test(`a key file that is ${name} is named, the archive is made, and the exit code is 1`, async () => {
    const installation = sealed();
    spoil(installation);
    const { code, made, warnings } = await backUp(installation.data);
    assert.equal([code, made], [1, true]);
    assert.ok(warnings.includes(warning(installation)), warnings.join('\n'));
  });
}

test('keystore.json that is damaged or missing is named alone, by a backup and by a restore of it', async () => {
  for (const is of ['is damaged', 'is missing']) {
    const { data, slots } = sealed();
    if (is === 'is damaged') writeFileSync(slots, '{}');
    else rmSync(slots);
    const { code, file, warnings } = await backUp(data);
    assert.equal([code, warnings], [1, [`${slots} ${is}, here and in the archive`]]);
    const restored = await runOn(emptyFolder(), 'restore', file);
    assert.match(restored.err, new RegExp(`keystore.json of the keystore ${is}, in the archive: what it opens stays`));
  }
});

test.run();
