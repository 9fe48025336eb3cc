/** What is read of the database, and when. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Index } from '../../src/policy/index.ts';
import type { Lookups } from '../../src/store/lookups.ts';

/** Lookups of a database with one key, one client with two tokens, and their policies. */
function database() {
  const read: string[] = [];
  const token = { deletedAt: null, expiresAt: null, used: new Map<number, number>() };
  const tokens = [
    { ...token, id: 1, policyId: 7 },
    { ...token, id: 2, policyId: null },
  ];
  const lookups = {
    version: 1,
    dataVersion: () => lookups.version,
    key: (name: string) => {
      read.push(`key ${name}`);
      return { pubkey: null, deletedAt: null };
    },
    binding: (name: string, client: string) => {
      read.push(`binding ${name} ${client}`);
      return client === 'client' ? { keyUserId: 1, revokedAt: null, conditions: [], tokens } : null;
    },
    policy: (id: number) => {
      read.push(`policy ${id}`);
      return { id, deletedAt: null, expiresAt: null, rules: [] };
    },
  };
  return { read, lookups, index: new Index(lookups as unknown as Lookups) };
}

function ask(index: Index, client: string): void {
  index.key('key');
  for (const { policyId } of index.binding('key', client)?.tokens ?? []) if (policyId !== null) index.policy(policyId);
}

test('what was prepared is not read again, until another program has written', () => {
  const { index, read, lookups } = database();
  index.prepare('key', 'client');
  assert.equal(read, ['key key', 'binding key client', 'policy 7']);
  index.refresh();
  ask(index, 'client');
  assert.is(read.length, 3);
  lookups.version++;
  index.refresh();
  ask(index, 'client');
  assert.is(read.length, 6);
});

test('a stranger for whom something was prepared is not remembered', () => {
  const { index, read } = database();
  index.prepare('key', 'stranger');
  ask(index, 'stranger');
  assert.is(read.filter((one) => one === 'binding key stranger').length, 2);
});

test.run();
