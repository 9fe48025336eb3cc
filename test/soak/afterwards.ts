/** What has to be true of the state folder when all is over. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import * as assert from 'uvu/assert';
import { findIn } from '../probe/scan.ts';
import { runCli } from '../support/cli.ts';
import type { Installation } from './installation.ts';
import type { Traffic } from './traffic.ts';

/** R4, of a daemon that has ended: audit log, counters, chain. @returns rows of the audit log */
export async function assertRecorded({ daemon, limited }: Installation, traffic: Traffic): Promise<number> {
  const database = new Database(join(daemon.data, 'nsecbunker.db'), { readonly: true });
  try {
    assert.is(database.pragma('integrity_check', { simple: true }), 'ok');
    const sql = `SELECT json_extract(params, '$.event') FROM Log WHERE method = 'sign_event'`;
    const recorded = new Set(database.prepare(sql).pluck().all() as string[]);
    const unrecorded = [...traffic.signed].filter((id) => !recorded.has(id));
    assert.equal(unrecorded, [], 'signatures that clients saw and the audit log does not know');
    const over = 'SELECT * FROM PolicyRule WHERE currentUsageCount > maxUsageCount';
    assert.equal(database.prepare(over).all(), []);
    for (const { policy } of limited) {
      const rule = 'SELECT currentUsageCount AS used, maxUsageCount AS most FROM PolicyRule WHERE policyId = ?';
      const { used, most } = database.prepare(rule).get(policy) as { used: number; most: number };
      const seen = traffic.counted.get(policy) ?? 0;
      assert.ok(seen <= used && used <= most, `${seen} seen, ${used} counted, ${most} allowed`);
    }
    const verified = await runCli(['audit', 'verify', '--data', daemon.data, '--json']);
    assert.is(verified.code, 0, verified.stderr);
    assert.is(JSON.parse(verified.stdout).ok, true);
    return database.prepare('SELECT count(*) FROM Log').pluck().get() as number;
  } finally {
    database.close();
  }
}

/** R2: what was printed and every file, but the one of the passphrase. @returns bytes looked at */
export function assertNoCanary({ daemon, canaries }: Installation): number {
  const key = canaries.find(({ name }) => name.startsWith('private key'))!;
  const planted = Buffer.concat([Buffer.from(daemon.output), key.forms.find(({ form }) => form === 'hex')!.bytes]);
  assert.equal(findIn(planted, canaries), [`${key.name} (hex)`], 'the search finds what is there, and only that');
  let bytes = daemon.output.length;
  for (const entry of readdirSync(daemon.data, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name === 'passphrase') continue;
    const content = readFileSync(join(entry.parentPath, entry.name));
    assert.equal(findIn(content, canaries), [], entry.name);
    bytes += content.length;
  }
  return bytes;
}
