import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Custody, type CustodyOptions, type Wanted } from '../../src/key/custody.ts';

/** A custody of one key, whose records do not say yet that it was locked. */
function custodyOf(name: string): Custody {
  const key = { name, pubkey: '1'.repeat(64), unlocked: true, state: 'inactive', listens: true, lock: async () => {} };
  const rows = [{ name, pubkey: key.pubkey, lockedAt: null, deletedAt: null }];
  return new Custody({
    keystore: '/nowhere',
    keys: { named: () => key, get: () => key, remove: () => {} },
    policy: () => ({ ask: async () => rows }),
    vault: () => ({ ask: async () => null }),
    file: { config: { keyNames: [], plainKeyNames: [] } },
    resubscribe: async () => {},
  } as unknown as CustodyOptions);
}

const isLocked = async (custody: Custody) => (await custody.known())[0]!.lockedAt !== null;

test('a key that was locked a moment ago is known as locked on purpose before the records say so', async () => {
  const custody = custodyOf('one');
  assert.not(await isLocked(custody));
  const reading = isLocked(custody);
  assert.ok((await custody.lock(['one'])).ok);
  assert.ok(await reading, 'also by who was reading the records meanwhile');
  assert.ok(await isLocked(custody));
  await custody.unlock(['one'], { environment: 0 } as never);
  assert.not(await isLocked(custody));
});

/** Files that a custody removes whose records refuse every new key. */
async function removedAfterRefusal(wanted: Wanted): Promise<string[]> {
  const removed: string[] = [];
  const custody = new Custody({
    keystore: '/nowhere',
    pool: {
      create: async () => ({ ok: true, pubkey: 'made' }),
      remove: async (_: string, pubkey: string) => void removed.push(pubkey),
    },
    policy: () => ({ ask: async (what: string) => (what === 'keys' ? [] : { ok: false, refusal: 'no' }) }),
    reserved: () => [],
    vault: () => ({ ask: async () => null }),
    file: { config: { keyNames: [], plainKeyNames: [] } },
  } as unknown as CustodyOptions);
  assert.equal(await custody.create('new', { environment: 0 }, wanted), { ok: false, refusal: 'no' });
  return removed;
}

test('a key that was made and is refused by the records leaves no file; an imported one stays on disk', async () => {
  assert.equal(await removedAfterRefusal({}), ['made']);
  assert.equal(await removedAfterRefusal({ imports: true }), []);
});

test('a row whose pubkey is damaged is named and passed over at the start, and the others are known', async () => {
  const rows = [
    ['good', '1'.repeat(64)],
    ['bad', 'nothex'],
    ['upper case', 'A'.repeat(64)],
    ['not known yet', ''],
  ].map(([name, pubkey]) => ({ name, pubkey, lockedAt: null, deletedAt: null }));
  const known: string[] = [];
  const told: unknown[] = [];
  const custody = new Custody({
    keystore: '/nowhere',
    keys: { get: () => true, add: (name: string) => known.push(name) },
    policy: () => ({ ask: async () => rows }),
    reserved: () => [],
    file: { config: { keyNames: [], plainKeyNames: [] } },
    log: ({ level, fields }: { level: string; fields: { key?: string } }) => told.push([level, fields.key]),
  } as unknown as CustodyOptions);
  await custody.begin();
  assert.equal(known, ['good']);
  assert.equal(told, [
    ['error', 'bad'],
    ['error', 'upper case'],
    // Of the keystore, which has no file of the good one.
    ['error', undefined],
  ]);
});

test.run();
