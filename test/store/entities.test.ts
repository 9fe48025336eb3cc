import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ENTITIES, Key, KeyUser, Policy, PolicyRule, SigningCondition, Token } from '../../src/store/entities.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { folder, legacy } from './folder.ts';

async function opened(path: string): Promise<Store> {
  const result = await openStore({ databasePath: path, keysInKeystore: 0, allowEmptyDatabase: false });
  if (!result.ok) throw new Error(result.refusal);
  return result.store;
}

test('every entity reads its table, and names every column of it', async () => {
  const { orm, db } = await opened(legacy('legacy-0.10.5'));
  const em = orm.em.fork();
  for (const entity of ENTITIES) {
    const meta = orm.getMetadata().get(entity as typeof Key);
    const mapped = meta.props.flatMap((prop) => (prop.persist === false ? [] : (prop.fieldNames ?? []))).sort();
    const columns = (db.pragma(`table_info("${meta.tableName}")`) as { name: string }[]).map(({ name }) => name).sort();
    assert.equal([...new Set(mapped)], columns, meta.tableName);
    await em.find(entity as typeof Key, {});
  }
  await orm.close(true);
});

test('rows of nsecbunkerd are read with their relations', async () => {
  const { orm } = await opened(legacy('legacy-0.10.5'));
  const em = orm.em.fork();
  const token = await em.findOneOrFail(Token, { id: 3 }, { populate: ['policy', 'keyUser'] });
  assert.is(token.keyName, 'spire-7f3c9a');
  assert.is(token.policy?.name, 'spirekeeper-spire');
  assert.is(token.keyUser?.keyName, 'spire-7f3c9a');
  assert.is(token.expiresAt, 4_070_908_800_000);
  const banned = await em.findOneOrFail(SigningCondition, { method: '*' });
  assert.is(banned.allowed, false);
  await orm.close(true);
});

test('dates are written as integer milliseconds and read in all three forms', async () => {
  const { orm, db } = await opened(join(folder(), 'new.db'));
  const noon = Date.UTC(2024, 4, 6, 12);
  const em = orm.em.fork();
  em.create(Key, { keyName: 'a', pubkey: 'aa', createdAt: noon, updatedAt: noon });
  await em.flush();
  assert.equal(db.prepare('SELECT createdAt, typeof(createdAt) AS t, deletedAt FROM "Key"').get(), {
    createdAt: noon,
    t: 'integer',
    deletedAt: null,
  });
  db.exec(`INSERT INTO "Key" (keyName, pubkey, createdAt, updatedAt)
    VALUES ('b', 'bb', '2024-05-06 12:00:00', '2024-05-06T12:00:00.000Z')`);
  const b = await orm.em.fork().findOneOrFail(Key, { keyName: 'b' });
  assert.is(b.createdAt, noon);
  assert.is(b.updatedAt, noon);
  // What was only read is not written again.
  const again = orm.em.fork();
  (await again.findOneOrFail(Key, { keyName: 'b' })).pubkey = 'cc';
  await again.flush();
  assert.is(db.prepare(`SELECT createdAt FROM "Key" WHERE keyName = 'b'`).pluck().get(), '2024-05-06 12:00:00');
  await orm.close(true);
});

test('deleting a policy sets what points at it to null', async () => {
  const { orm, db } = await opened(legacy('legacy-0.10.5'));
  db.prepare('DELETE FROM "Policy" WHERE id = 2').run();
  db.prepare('DELETE FROM "KeyUser" WHERE id = 3').run();
  assert.is(db.prepare('SELECT policyId FROM "Token" WHERE id = 3').pluck().get(), null);
  assert.is(db.prepare('SELECT keyUserId FROM "Token" WHERE id = 3').pluck().get(), null);
  assert.is(db.prepare('SELECT count(*) FROM "PolicyRule" WHERE policyId = 2').pluck().get(), 0);
  assert.ok(await orm.em.fork().findOne(Policy, { id: 1 }));
  assert.ok(await orm.em.fork().findOne(PolicyRule, { id: 4 }));
  assert.is(await orm.em.fork().findOne(KeyUser, { id: 3 }), null);
  await orm.close(true);
});

test.run();
