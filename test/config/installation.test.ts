import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findInstallation } from '../../src/config/installation.ts';

const at = (data: string, file = 'nsecbunker.json') => ({ ok: true, value: { configPath: `${data}/${file}`, data } });

test('flags win over the environment', () => {
  const env = { REDOUBT_DATA: '/env' };
  assert.equal(findInstallation({}, env, '/cwd'), at('/env'));
  assert.equal(findInstallation({ data: 'flag' }, env, '/cwd'), at('/cwd/flag'));
  assert.equal(findInstallation({ config: '/etc/b.json' }, env, '/cwd'), at('/etc', 'b.json'));
});
test('without any it is config/, and data/ for a quickstart', () => {
  assert.equal(findInstallation({}, { REDOUBT_DATA: '' }, '/cwd'), at('/cwd/config'));
  assert.equal(findInstallation({}, {}, '/cwd', true), at('/cwd/data'));
});
test('two that name one are refused', () => {
  const flags = findInstallation({ data: 'a', config: 'b' }, {}, '/cwd');
  assert.match(JSON.stringify(flags), '--data and --config both name an installation');
  const env = findInstallation({}, { REDOUBT_DATA: 'a', REDOUBT_CONFIG: 'b' }, '/cwd');
  assert.match(JSON.stringify(env), 'REDOUBT_DATA and REDOUBT_CONFIG both name');
});
test('a file where a folder belongs is refused', () => {
  assert.match(JSON.stringify(findInstallation({ data: '/x/nsecbunker.json' }, {}, '/cwd')), 'use --config');
  assert.not(findInstallation({ data: '' }, {}, '/cwd').ok);
});
test.run();
