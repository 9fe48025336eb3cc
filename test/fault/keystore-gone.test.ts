/** Rows of keys whose files are not there: the wrong folder, or a disk that was not mounted. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { get } from '../http/get.ts';
import { TestDaemon } from '../support/daemon.ts';
import { adminOf } from '../support/provision.ts';

const daemon = new TestDaemon({ env: { REDOUBT_KEYSTORE_LOG_N: '14' } });
test.after(() => daemon.remove());

const health = async () => {
  const { status, text } = await get(daemon.quickstart.health_url);
  return { status, reasons: (JSON.parse(text) as { reasons?: string[] }).reasons ?? [] };
};

test('keys that have no file are told at start and by health, until the files are back or the keys are deleted', async () => {
  await daemon.start();
  const first = await adminOf(daemon);
  for (const name of ['lost', 'spent', 'there']) await first.result('create_new_key', [name, 'a passphrase']);
  const keys = JSON.parse(await first.result('get_keys')) as { name: string; pubkey: string }[];
  first.close();
  await daemon.stop();
  const keystore = join(daemon.data, 'keystore');
  const fileOf = (name: string) => `${keys.find((key) => key.name === name)!.pubkey}.json`;
  for (const name of ['lost', 'spent']) renameSync(join(keystore, fileOf(name)), join(daemon.data, fileOf(name)));

  const printed = daemon.output.length;
  await daemon.start();
  const told = `the keystore ${keystore} has no file of lost, spent: is keystore.dir right, and is its disk there?`;
  const line = daemon.output
    .slice(printed)
    .split('\n')
    .find((text) => text.includes('has no file'));
  assert.match(line ?? '', /"level":"error"/);
  assert.equal(await health(), { status: 503, reasons: [told] });

  const admin = await adminOf(daemon);
  await admin.result('delete_key', ['spent']);
  assert.equal((await health()).reasons, [told.replace('lost, spent', 'lost')]);
  renameSync(join(daemon.data, fileOf('lost')), join(keystore, fileOf('lost')));
  assert.equal(await health(), { status: 200, reasons: [] });
  admin.close();
});

test.run();
