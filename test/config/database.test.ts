import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../../src/config.ts';

function databasePath(written: string) {
  const file = { adminPubkeys: [], adminRelays: [], nostrRelays: [], database: written, redoubt: '{}' };
  const read = readConfig({ file, env: {}, flags: {}, data: '/data', cwd: '/cwd', memory: 2 ** 30 });
  return read.ok ? read.config.database : read;
}

const forms: [written: string, path: string][] = [
  ['file:/srv/a.db', '/srv/a.db'],
  ['file:///srv/a.db', '/srv/a.db'],
  ['file:a.db', '/cwd/a.db'],
  ['file:./a.db?connection_limit=1', '/cwd/a.db'],
  ['file:../a.db', '/a.db'],
  ['sqlite:///srv/a.db', '/srv/a.db'],
  ['sqlite://a.db', '/cwd/a.db'],
  ['SQLITE://a.db', '/cwd/a.db'],
  ['/srv/a.db', '/srv/a.db'],
  ['a.db', '/cwd/a.db'],
  ['what?.db', '/cwd/what?.db'],
];
for (const [written, path] of forms) {
  test(`${written} is ${path}`, () => assert.is(databasePath(written), path));
}

const refused = ['', 'file:', 'sqlite://', 'mysql://h/db', 'postgresql://u:hunter2@h/db'];
for (const written of refused) {
  test(`${JSON.stringify(written)} is refused`, () => {
    const result = databasePath(written);
    assert.type(result, 'object');
    assert.match(JSON.stringify(result), 'nsecbunker.json: database: ', 'where it was written');
    assert.not.match(JSON.stringify(result), 'hunter2');
  });
}
test.run();
