/** `redoubt doctor`: what it finds, and that it changes nothing. */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FINDINGS, type Finding } from '../../src/maintenance/doctor/finding.ts';
import { runMain } from '../cli/run.ts';
import { hex, Rig } from '../policy/rig.ts';
import { legacyInstallation, withDatabase } from './installation.ts';

async function doctor(data: string, database = join(data, 'nsecbunker.db')) {
  process.env.DATABASE_URL = `file:${database}`;
  try {
    const { code, out, err } = await runMain(['doctor', '--data', data, '--json']);
    assert.is(err, '');
    const report = JSON.parse(out);
    const findings = new Map((report.findings as Finding[]).map((one) => [one.name as string, one]));
    return { code, report, findings, names: [...findings.keys()] };
  } finally {
    delete process.env.DATABASE_URL;
  }
}

/** A database of Redoubt's own with a paired client, and a configuration beside it. */
async function native(): Promise<Rig> {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(hex('client'), { method: 'sign_event', kind: '1' });
  await rig.decide({ kind: 1 });
  await rig.stop();
  const config = { admin: { key: '11'.repeat(32) }, keys: { key: { iv: '00', data: '00' } } };
  writeFileSync(join(rig.folder, 'nsecbunker.json'), JSON.stringify(config), { mode: 0o600 });
  return rig;
}

test('what nsecbunkerd left, before it is adopted', async () => {
  const { data, database } = legacyInstallation();
  const config = JSON.parse(readFileSync(join(data, 'nsecbunker.json'), 'utf8'));
  writeFileSync(join(data, 'nsecbunker.json'), JSON.stringify({ ...config, redoubt: { kindsNotInAll: [62] } }));
  const before = readFileSync(database);
  const { code, report, findings, names } = await doctor(data);
  assert.is(code, 1);
  assert.equal(names.sort(), [
    'database-not-migrated',
    'guessable-tokens',
    'key-without-row',
    'kinds-in-all',
    'legacy-keys',
    'manual-overrides',
    'photocopies',
    'photocopies-alone',
    'photocopies-of-revoked',
    'policies-expired',
    'tokens-expired',
  ]);
  assert.equal(findings.get('key-without-row')!.items, ['lnbits-acct-2']);
  assert.match(findings.get('photocopies-alone')!.items.join(), /^spire-7f3c9a 4e430e37\w+ \(user 4\)$/);
  assert.match(findings.get('photocopies-of-revoked')!.items.join(), /\(user 5\)$/);
  assert.match(findings.get('tokens-expired')!.items.join(), /^spire-7f3c9a old board \(token 4\): 2026-05-23T/);
  assert.match(findings.get('guessable-tokens')!.items.join(), /^spire-7f3c9a to be redeemed \(token 8\)$/);
  assert.match(findings.get('kinds-in-all')!.message, /grant kind 22242, 27235 too/);
  assert.is(report.tables.SigningCondition, 11);
  assert.equal(report.pairings['spire-7f3c9a'], 3);
  assert.equal([report.migrated, report.daemon, report.healthy], [false, null, false]);
  assert.ok(readFileSync(database).equals(before));
  assert.equal(readdirSync(data).sort(), ['nsecbunker.db', 'nsecbunker.json', 'truth.json']);
});

test('after it was stripped the copies are no longer found', async () => {
  const { data } = legacyInstallation();
  process.env.DATABASE_URL = `file:${join(data, 'nsecbunker.db')}`;
  assert.is((await runMain(['strip-photocopies', '--data', data])).code, 0);
  const { names } = await doctor(data);
  assert.equal(
    names.filter((name) => name.startsWith('photocopies')),
    [],
  );
  assert.ok(names.includes('manual-overrides'));
});

test('a database of Redoubt, step by step from healthy to broken', async () => {
  const rig = await native();
  const data = rig.folder;
  const change = (sql: string) => withDatabase(rig.path, (db) => db.exec(sql));
  const only = async () => (await doctor(data)).names.filter((name) => name !== 'legacy-keys');
  const legacy = await doctor(data);
  assert.equal([legacy.code, legacy.names], [1, ['legacy-keys']]);

  const soon = Date.now() + 86_400_000;
  change(`UPDATE Token SET expiresAt = ${soon}; UPDATE Policy SET expiresAt = ${soon}`);
  assert.equal(await only(), ['tokens-expiring', 'policies-expiring']);
  change('UPDATE Token SET expiresAt = 1000; UPDATE Policy SET expiresAt = 1000');
  assert.equal(await only(), ['tokens-expired', 'policies-expired']);
  change('UPDATE KeyUser SET revokedAt = 1000');
  assert.equal(await only(), [], 'of a revoked client nothing is expected any more');
  change('UPDATE Token SET expiresAt = NULL, redeemedAt = NULL');
  assert.equal(await only(), [], "a token of Redoubt's own cannot be guessed");

  chmodSync(rig.path, 0o640);
  assert.equal(await only(), ['file-mode']);
  chmodSync(rig.path, 0o600);
  change('PRAGMA foreign_keys = OFF; UPDATE Token SET policyId = 999');
  assert.equal(await only(), ['dangling-references']);
  change('UPDATE Token SET policyId = 1');

  change('UPDATE Log SET timestamp = timestamp + 1 WHERE id = 1');
  const audit = await doctor(data);
  assert.equal([audit.code, audit.findings.get('audit-broken')?.severity], [2, 'broken']);
  change('UPDATE Log SET timestamp = timestamp - 1 WHERE id = 1');

  const config = { admin: { key: '11'.repeat(32) } };
  writeFileSync(join(data, 'nsecbunker.json'), JSON.stringify(config), { mode: 0o600 });
  assert.equal((await doctor(data)).names, ['row-without-key']);
  change(`UPDATE "Key" SET deletedAt = 1000`);
  const healthy = await doctor(data);
  assert.equal([healthy.code, healthy.names, healthy.report.healthy], [0, [], true]);
  rmSync(data, { recursive: true });
});

test('a keystore whose files are damaged or lack their slot', async () => {
  const rig = await native();
  const keystore = join(rig.folder, 'keystore');
  mkdirSync(keystore, { mode: 0o700 });
  writeFileSync(join(keystore, `${'ab'.repeat(32)}.json`), '{}', { mode: 0o600 });
  const { code, names } = await doctor(rig.folder);
  assert.is(code, 2);
  for (const name of ['keystore-damaged', 'key-file-damaged', 'key-without-row']) assert.ok(names.includes(name), name);
  rmSync(rig.folder, { recursive: true });
});

test('no configuration, no database, one that is damaged, foreign or of another age', async () => {
  const { data, database } = legacyInstallation();
  const old = new URL('../fixtures/legacy-2023-06/nsecbunker.db', import.meta.url);
  copyFileSync(old, join(data, 'old.db'));
  const first = await doctor(data, join(data, 'old.db'));
  assert.is(first.report.tables.KeyUser, 0, 'what can be read is told');

  const missing = await doctor(data, join(data, 'none.db'));
  assert.equal([missing.code, missing.names.includes('database-missing')], [2, true]);
  assert.not(readdirSync(data).includes('none.db'));
  const bytes = readFileSync(database);
  bytes.fill(0xff, 8192, 16_384);
  writeFileSync(database, bytes);
  const damaged = await doctor(data);
  assert.equal([damaged.code, damaged.names.includes('database-damaged')], [2, true]);
  writeFileSync(database, 'no database '.repeat(1000));
  const foreign = await doctor(data);
  assert.equal([foreign.code, foreign.names.includes('database-refused')], [2, true]);
  writeFileSync(join(data, 'nsecbunker.json'), '{');
  const unread = await doctor(data);
  assert.equal([unread.code, unread.names], [2, ['configuration']]);
});

test('docs/DOCTOR.md lists every finding', () => {
  const page = readFileSync(new URL('../../docs/DOCTOR.md', import.meta.url), 'utf8');
  const listed = page.matchAll(/^\| `([\w-]+)` \| (\w+) \|/gm).map(([, name, severity]) => `${name} ${severity}`);
  assert.equal(
    [...listed],
    Object.entries(FINDINGS).map(([name, { severity }]) => `${name} ${severity}`),
  );
});

test.run();
