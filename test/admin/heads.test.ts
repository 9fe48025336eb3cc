import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { schnorr } from '@noble/secp256k1';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeStage } from './stage.ts';

test('heads of the audit chain are signed and appended, in order', async () => {
  const stage = await makeStage();
  const heads = [1, 2, 3].map((seq) => ({ seq, hash: String(seq).repeat(64), cut: 0, at: 1_700_000_000_000 + seq }));
  await Promise.all(heads.map((head) => stage.policy.ask('head', head)));
  await stage.link.ask('close', null);
  const file = join(stage.folder, 'audit-heads.jsonl');
  assert.is(statSync(file).mode & 0o777, 0o600);
  const lines = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.is(lines.length, 3);
  for (const [i, line] of lines.entries()) {
    const { pubkey, sig, ...head } = line;
    assert.equal(head, heads[i]);
    assert.is(pubkey, stage.daemon);
    const digest = createHash('sha256').update(JSON.stringify(head)).digest();
    assert.ok(await schnorr.verifyAsync(Buffer.from(sig, 'hex'), digest, Buffer.from(pubkey, 'hex')));
  }
  assert.equal(
    stage.main.logs.filter((line) => line.message === 'audit: head signed').map((line) => line.fields.seq),
    [1, 2, 3],
  );
  await stage.end();
});

test.run();
