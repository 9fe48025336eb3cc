/** What autounlock is to work with is looked at by a thread of the pool: each thing that is wrong has words of its own. */
import { chmodSync, closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UnlockPool } from '../../src/keystore/pool.ts';
import type { AutounlockSources } from '../../src/keystore/protocol.ts';
import { temporaryFolder, UNLOCK_WORKER } from './setup.ts';

const folder = temporaryFolder();
const pool = new UnlockPool({ filename: UNLOCK_WORKER });
test.after(() => pool.close());

const NOTHING: AutounlockSources = { environment: null, file: null, passphrases: null };
let files = 0;
function written(content: string | Uint8Array, mode = 0o600): string {
  const path = join(folder, `${files++}`);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

async function inspect(sources: Partial<AutounlockSources>) {
  return pool.inspect({ ...NOTHING, ...sources });
}

async function refusal(sources: Partial<AutounlockSources>): Promise<string> {
  const inspected = await inspect(sources);
  return inspected.ok ? 'nothing is wrong' : inspected.refusal;
}

/** An environment block as the system gives it, from a file. */
async function withEnvironment<T>(
  variables: readonly (string | Buffer)[],
  use: (fd: number) => Promise<T>,
): Promise<T> {
  const block = Buffer.concat(variables.flatMap((variable) => [Buffer.from(variable), Buffer.of(0)]));
  const fd = openSync(written(block), 'r');
  try {
    return await use(fd);
  } finally {
    closeSync(fd);
  }
}

test('what is right is taken as it is, and what others may read is warned of', async () => {
  assert.equal(await inspect({}), { ok: true, from: [], own: [], warnings: [] });
  const file = written('a passphrase\r\n\n');
  const from = ['NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE'];
  assert.equal(await inspect({ file }), { ok: true, from, own: [], warnings: [] });
  chmodSync(file, 0o640);
  const open = await inspect({ file });
  assert.match(open.ok ? open.warnings.join() : '', /^NSECBUNKER_.*_FILE: .* can be read by group or others: .* 600$/);
  const passphrases = written('{"a":"one","b":"two","c":"one"}');
  assert.equal(await inspect({ passphrases }), {
    ok: true,
    from: ['REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE'],
    own: [['a', 'c'], ['b']],
    warnings: [],
  });
  await withEnvironment(
    ['PATH=/bin', `FILLER=${'x'.repeat(200_000)}`, 'NSECBUNKER_AUTOUNLOCK_PASSPHRASE=swordfish'],
    async (environment) => {
      const from = ['NSECBUNKER_AUTOUNLOCK_PASSPHRASE'];
      assert.equal(await inspect({ environment }), { ok: true, from, own: [], warnings: [] });
    },
  );
  await withEnvironment(['NSECBUNKER_AUTOUNLOCK_PASSPHRASE=', 'A=b'], async (environment) => {
    const inspected = await inspect({ environment, file });
    assert.equal(inspected.ok && inspected.from, from, 'an empty variable counts as not set');
  });
});

test('a passphrase file that cannot be used', async () => {
  const refused = (file: string) => refusal({ file });
  assert.match(await refused(join(folder, 'none')), /^NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: .*none does not exist/);
  mkdirSync(join(folder, 'folder'));
  assert.match(await refused(join(folder, 'folder')), /is not a regular file/);
  assert.match(await refused('/proc/self/mem/x'), /does not exist/);
  assert.match(await refused(written('')), /is empty/);
  assert.match(await refused(written('\n\r\n')), /is empty/);
  assert.match(await refused(written('x'.repeat(4097))), /is larger than 4096 bytes/);
  assert.match(await refused(written(Uint8Array.of(0x61, 0xff))), /is not UTF-8 text/);
});

test('a variable that cannot be used', async () => {
  const file = written('a passphrase');
  for (const [variable, other, said] of [
    ['NSECBUNKER_AUTOUNLOCK_PASSPHRASE=swordfish', file, /are both set: the configuration is ambiguous/],
    [
      'NSECBUNKER_AUTOUNLOCK_PASSPHRASES=swordfish',
      null,
      /cannot be read from the environment .*: use .*_FILE instead/,
    ],
    [`NSECBUNKER_AUTOUNLOCK_PASSPHRASE=${'x'.repeat(4097)}`, null, /is longer than 4096 bytes/],
    [Buffer.from('NSECBUNKER_AUTOUNLOCK_PASSPHRASE=\xff', 'latin1'), null, /is not UTF-8 text/],
  ] as const) {
    await withEnvironment([variable], async (environment) => {
      const refused = await refusal({ environment, file: other });
      assert.match(refused, said);
      assert.match(refused, /^NSECBUNKER_AUTOUNLOCK_PASSPHRASE /);
      assert.not.match(refused, 'swordfish');
    });
  }
  assert.match(await refusal({ environment: -1 }), /cannot be read from the environment/);
});

test('a file with the passphrases of single keys that cannot be used; what is in it is not quoted', async () => {
  for (const [content, said] of [
    ['{"a":"swordfish"', /is not JSON/],
    ['["swordfish"]', /must hold one object/],
    ['"swordfish"', /must hold one object/],
    ['{}', /names no key/],
    ['{"swordfish":""}', /empty passphrase in its entry 1/],
    ['{"a":"x","swordfish":5}', /no passphrase in quotes in its entry 2/],
    ['{"a":{"b":"swordfish"}}', /no passphrase in quotes in its entry 1/],
    [`{"a":"${'x'.repeat(4097)}"}`, /more than 4096 bytes in its entry 1/],
  ] as const) {
    const refused = await refusal({ passphrases: written(content) });
    assert.match(refused, said);
    assert.match(refused, /^REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE: passphrases file /);
    assert.not.match(refused, 'swordfish');
  }
});

test.run();
