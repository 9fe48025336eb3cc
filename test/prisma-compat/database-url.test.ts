import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { databasePath } from '../../prisma-compat/database-url.ts';

const path = (url: string) => {
  const named = databasePath(url, '/srv/bunker');
  return named.ok ? named.path : named.refusal;
};

test("Prisma's form, sqlite:// and plain paths name a file", () => {
  assert.is(path('file:/var/lib/nsecbunker.db'), '/var/lib/nsecbunker.db');
  assert.is(path('file:///var/lib/nsecbunker.db'), '/var/lib/nsecbunker.db');
  assert.is(path('file:./nsecbunker.db'), '/srv/bunker/nsecbunker.db');
  assert.is(path('file:nsecbunker.db?connection_limit=1'), '/srv/bunker/nsecbunker.db');
  assert.is(path('sqlite:///var/lib/nsecbunker.db'), '/var/lib/nsecbunker.db');
  assert.is(path('sqlite:nsecbunker.db'), '/srv/bunker/nsecbunker.db');
  assert.is(path('/var/lib/nsecbunker.db'), '/var/lib/nsecbunker.db');
  assert.is(path('config/nsecbunker.db'), '/srv/bunker/config/nsecbunker.db');
});

test('other databases and empty values are refused with what to give instead', () => {
  assert.match(path('postgres://user:hunter2@host/db'), /postgres:.*give file:/);
  assert.not.match(path('postgres://user:hunter2@host/db'), /hunter2/);
  assert.match(path(''), /empty.*give file:/);
  assert.match(path('file:'), /names no file/);
});

test.run();
