import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KeystoreFiles } from '../../src/keystore/files.ts';
import { Lock } from '../../src/keystore/lock.ts';
import { readPassphraseFile } from '../../src/keystore/passphrase-file.ts';
import { makeSlot } from '../../src/keystore/slot.ts';
import { bytes, LOG_N, random, sealed, temporaryFolder } from './setup.ts';

const { slot, kek } = makeSlot(bytes('x'), LOG_N, random);
const mode = (path: string) => statSync(path).mode & 0o777;

test('a file that is being replaced is never seen half, also when its writer is killed', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'file');
  let reads = 0;
  const look = () => {
    const text = readFileSync(path, 'latin1');
    const [length, body] = text.split(' ') as [string, string];
    assert.is(body.length, Number(length));
    reads++;
  };
  for (let round = 0; round < 10; round++) {
    const writer = spawn(process.execPath, [join(import.meta.dirname, 'writer.ts'), path]);
    await once(writer.stdout, 'data');
    for (const end = performance.now() + Math.random() * 80; performance.now() < end; await sleep(0)) look();
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    look();
  }
  assert.ok(reads > 10);
  new KeystoreFiles(folder).clean();
  assert.equal(readdirSync(folder), ['file']);
});

test('the folder is 0700 and every file in it 0600, whatever the umask', () => {
  const umask = process.umask(0);
  try {
    const files = new KeystoreFiles(join(temporaryFolder(), 'deep', 'keystore'));
    const { file } = sealed('a', slot, kek);
    files.addSlot(slot, new Set(), new Lock(Lock.memory()), 1);
    files.writeKey(file);
    assert.is(mode(files.folder), 0o700);
    assert.is(mode(join(files.folder, 'keystore.json')), 0o600);
    assert.is(mode(join(files.folder, `${file.pubkey}.json`)), 0o600);
    assert.equal(readdirSync(files.folder).sort(), [`${file.pubkey}.json`, 'keystore.json'].sort());

    const open = join(temporaryFolder(), 'open');
    mkdirSync(open, { mode: 0o755 });
    new KeystoreFiles(open).make();
    assert.is(mode(open), 0o700);
  } finally {
    process.umask(umask);
  }
});

test('what is stored is what comes back, and nothing else is taken for it', () => {
  const files = new KeystoreFiles(temporaryFolder());
  const { file } = sealed('a', slot, kek);
  assert.equal(files.slots(), { ok: true, slots: [] });
  files.addSlot(slot, new Set(), new Lock(Lock.memory()), 1);
  files.writeKey(file);
  assert.equal(files.slots(), { ok: true, slots: [slot] });
  assert.equal(files.key(file.pubkey), { ok: true, sealed: file });
  assert.equal(files.pubkeys(), [file.pubkey]);
  const none = { ok: false, error: 'no such key in the keystore' };
  assert.equal(files.key('0'.repeat(64)), none);
  assert.equal(files.key('../keystore'), none);
  execFileSync('mkfifo', [join(files.folder, `${'1'.repeat(64)}.json`)]);
  assert.equal(files.key('1'.repeat(64)), { ok: false, error: 'key file is damaged' });
});

test('keystore.json that is missing beside keys is not made anew', () => {
  const files = new KeystoreFiles(temporaryFolder());
  files.writeKey(sealed('a', slot, kek).file);
  const added = files.addSlot(slot, new Set(), new Lock(Lock.memory()), 1);
  assert.not.ok(added?.ok);
  assert.match(added?.ok === false ? added.refusal : '', /keystore\.json is missing although there are keys/);
  assert.not.ok(existsSync(join(files.folder, 'keystore.json')));
});

test('slots that threads add at the same time are all kept', async () => {
  const keystore = temporaryFolder();
  const lock = Lock.memory();
  const threads = [1, 2, 3].map(
    (owner) =>
      new Worker(join(import.meta.dirname, 'adder.ts'), { workerData: { keystore, lock, owner, slot, count: 15 } }),
  );
  await Promise.all(threads.map((thread) => once(thread, 'exit')));
  const found = new KeystoreFiles(keystore).slots();
  assert.ok(found.ok);
  assert.is(found.ok ? found.slots.length : 0, 45);
});

test('a lock whose owner died is free again, and nobody frees the lock of another', () => {
  const memory = Lock.memory();
  new Int32Array(memory)[0] = 7;
  const lock = new Lock(memory);
  lock.free(8);
  assert.throws(() => lock.hold(9, () => null, 20), /locked by another task/);
  lock.free(7);
  assert.is(
    lock.hold(9, () => 'done', 20),
    'done',
  );
});

test('passphrase files: newline characters at the end are trimmed, and each fault has a message of its own', () => {
  const folder = temporaryFolder();
  const read = (content: string | Uint8Array, fileMode = 0o600) => {
    const path = join(folder, `${Math.random()}`);
    writeFileSync(path, content, { mode: fileMode });
    const result = readPassphraseFile(path);
    return result.ok ? [Buffer.from(result.passphrase).toString(), ...result.warnings] : result.refusal;
  };
  assert.equal(read('two words \r\n\n'), ['two words ']);
  assert.equal(read('\n inner\nline'), ['\n inner\nline']);
  assert.match(read('open', 0o640)[1]!, /can be read by group or others/);
  assert.match(read('') as string, / is empty/);
  assert.match(read('\n\r\n') as string, / is empty/);
  assert.match(read(Uint8Array.of(0x61, 0xff)) as string, / is not UTF-8 text/);
  assert.match(read('x'.repeat(4097)) as string, / is larger than 4096 bytes/);
  assert.equal(read('x'.repeat(4096)), ['x'.repeat(4096)]);
  const missing = readPassphraseFile(join(folder, 'none'));
  assert.match(missing.ok ? '' : missing.refusal, /none does not exist/);
  const directory = readPassphraseFile(folder);
  assert.match(directory.ok ? '' : directory.refusal, / is not a regular file/);
});

test.run();
