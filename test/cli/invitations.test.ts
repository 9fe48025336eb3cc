/** Tokens and pairings: what is shown to whoever scans or copies it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getPublicKey } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Stage } from '../admin/stage.ts';
import { type Installed, install } from './installed.ts';
import { runMain } from './run.ts';

let installed: Installed;
let stage: Stage;
test.before.each(async () => {
  installed = await install();
  stage = installed.stage;
});
test.after.each(() => installed.remove());

const run = (...args: string[]) => runMain([...args, '--data', installed.data]);

async function json(...args: string[]): Promise<unknown> {
  const { code, out, err } = await run(...args, '--json');
  assert.equal([code, err], [0, '']);
  return JSON.parse(out);
}

function file(name: string, content: string): string {
  const path = join(installed.data, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

test('pair: a new key needs its passphrase, a known one does not; the seed URL can be drawn', async () => {
  const passphrase = file('pass', 'say "when"\n');
  const made = (await json('pair', 'atm', '--expires', '30d', '--passphrase-file', passphrase)) as {
    seed_url: string;
    token_id: number;
  };
  assert.equal(stage.main.got, [{ name: 'atm', passphrase: 'say "when"' }]);
  const expiresAt = stage.clock.now() + 30 * 86_400_000;
  const createdBy = getPublicKey(stage.admin);
  const first = { policy: 'spirekeeper-spire', clientName: 'atm', expiresAt, createdBy, revokeOld: false };
  assert.equal(stage.records.asked, [['pair', first]]);
  const names = ['npub', 'pubkey', 'key', 'token_id', 'bunker_url', 'seed_url', 'expires_at'];
  assert.equal(Object.keys(made), names);

  const args = ['--policy', 'p', '--client', 'till', '--relay', 'ws://b.example', '--relay', 'wss://a.example'];
  const { code, out } = await run('pair', 'atm', ...args, '--revoke-old', '--qr');
  assert.is(code, 0);
  assert.match(
    out,
    /^atm {2}npub1\w+\ntoken 2, good for one machine, without end:\nbunker:.*\nspire-seed:v1:\S+\n[ ▀▄█\n]+$/,
  );
  assert.match(out, 'relay=ws%3A%2F%2Fb.example&relay=wss%3A%2F%2Fa.example');
  const second = { policy: 'p', clientName: 'till', expiresAt: null, createdBy, revokeOld: true };
  assert.equal(stage.records.asked[1], ['pair', second]);
  assert.is(stage.main.got.length, 1);
  const bad = await run('pair', 'atm', '--relay', 'http://x');
  assert.equal(
    [bad.code, bad.err],
    [1, 'redoubt: Invalid params: options.relays[0] must start with wss:// or ws://\n'],
  );
});

test('a token under a policy that is given by its number', async () => {
  stage.records.addKey('k');
  for (const name of ['first', 'second']) await json('policy', 'create', name, '--rule', 'sign_event:1');
  await json('token', 'create', 'k', '--policy', '2');
  assert.is(((await json('token', 'list', 'k')) as { policy_name: string }[])[0]!.policy_name, 'second');
  const { err } = await run('token', 'create', 'k', '--policy', '3');
  assert.is(err, 'redoubt: no policy named "3": see "redoubt policy list"\n');
});

test('a URL that no QR code can hold is printed all the same', async () => {
  const passphrase = file('pass', 'of the key');
  const relays = Array.from({ length: 12 }, (_, i) => ['--relay', `wss://${i}.example/${'r'.repeat(240)}`]).flat();
  const { code, out, err } = await run('pair', 'atm', ...relays, '--qr', '--passphrase-file', passphrase);
  assert.equal([code, err], [0, '']);
  assert.match(out, /\nbunker:\S+\nspire-seed:v1:\S{3000,}\nit is too long for a QR code\n$/);
});

test.run();
