import { getPublicKey } from 'nostr-tools';
import { decode } from 'nostr-tools/nip19';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeStage, RELAYS, type Stage } from './stage.ts';

let stage: Stage;
test.before.each(async () => {
  stage = await makeStage();
});
test.after.each(() => stage.end());

interface Paired {
  npub: string;
  pubkey: string;
  key: string;
  token_id: number;
  bunker_url: string;
  seed_url: string;
  expires_at: string | null;
}

const atm = { key: 'spire-7', client_name: 'atm', policy: 'spirekeeper-spire', passphrase: 'correct horse' };
const ask = (options: object) => stage.ask('pair', [JSON.stringify(options)]);
async function pair(options: object): Promise<Paired> {
  const answer = await ask(options);
  assert.is(answer.error, undefined, answer.error ?? '');
  return JSON.parse(answer.result);
}
async function refused(options: object): Promise<string> {
  const { error, result } = await ask(options);
  assert.is(result, 'error');
  return error!;
}

test('a key that is not there is made, and the answer has all that the machine needs', async () => {
  const paired = await pair({ ...atm, expires_in_hours: '720' });
  assert.equal(stage.main.got, [{ name: 'spire-7', passphrase: 'correct horse' }]);
  const [key] = stage.records.keys;
  const expiresAt = stage.clock.now() + 720 * 3_600_000;
  const relays = [...RELAYS].sort();
  const query = relays.map((relay) => `relay=${encodeURIComponent(relay)}`).join('&');
  const bunkerUrl = `bunker://${key!.pubkey}?${query}&secret=${'1'.padStart(64, '0')}`;
  const [prefix, text] = [paired.seed_url.slice(0, 14), paired.seed_url.slice(14)];
  assert.is(prefix, 'spire-seed:v1:');
  assert.match(text, /^[A-Za-z0-9_-]+$/);
  assert.equal(JSON.parse(Buffer.from(text, 'base64url').toString()), {
    spire_npub: paired.npub,
    spire_pubkey: key!.pubkey,
    bunker_url: bunkerUrl,
    relays,
  });
  assert.is(decode(paired.npub).data, key!.pubkey);
  const { npub, seed_url: seedUrl } = paired;
  assert.equal(paired, {
    npub,
    pubkey: key!.pubkey,
    key: 'spire-7',
    token_id: 1,
    bunker_url: bunkerUrl,
    seed_url: seedUrl,
    expires_at: new Date(expiresAt).toISOString(),
  });
  const createdBy = getPublicKey(stage.admin);
  const pairing = { policy: 'spirekeeper-spire', clientName: 'atm', expiresAt, createdBy, revokeOld: false };
  assert.equal(stage.records.asked, [['pair', pairing]]);
  assert.equal(stage.records.ended, [{ method: 'pair', target: 'spire-7', outcome: 'ok' }]);
});

test('a key that is there gets a new token, whatever passphrase comes along; relays are those that were asked for', async () => {
  stage.records.addKey('old');
  const relays = ['wss://z.example', 'ws://a.example'];
  const { bunker_url, token_id, expires_at } = await pair({ ...atm, key: 'old', relays, revoke_old: true });
  assert.equal(new URL(bunker_url).searchParams.getAll('relay'), ['ws://a.example', 'wss://z.example']);
  assert.equal([token_id, expires_at, stage.main.got], [1, null, []]);
  assert.is((stage.records.asked[0]![1] as { revokeOld: boolean }).revokeOld, true);
  assert.is((await pair({ ...atm, key: 'old', relays: [] })).token_id, 2);
  // Every length modulo three: padding shows at two of them.
  for (const relay of ['ws://a', 'ws://ab', 'ws://abc']) {
    const { seed_url } = await pair({ ...atm, key: 'old', relays: [relay] });
    assert.match(seed_url, /^spire-seed:v1:[A-Za-z0-9_-]+$/);
  }
});

test('relays that the answer could not hold are refused before anything is done; the longest that are taken fit', async () => {
  stage.records.addKey('old');
  const long = Array.from({ length: 50 }, (_, i) => `wss://r${i}.example/`.padEnd(420, 'x'));
  const again = { ...atm, key: 'old', revoke_old: true };
  assert.match(await refused({ ...again, relays: long }), 'options.relays are too long together');
  assert.match(
    await refused({ ...again, relays: ['wss://\ud800'] }),
    'options.relays[0] must start with wss:// or ws://',
  );
  assert.equal(stage.records.asked, []);
  // Of each kind of character what is longest in an answer: plain, percent-encoded, escaped in JSON.
  for (const [character, encoded] of [
    ['x', 1],
    ['é', 6],
    ['"', 3],
  ] as const) {
    const each = Math.floor((12_288 / 50 - 12) / encoded);
    const relays = Array.from({ length: 50 }, () => `wss://${character.repeat(each)}`);
    assert.equal(new URL((await pair({ ...again, relays })).bunker_url).searchParams.getAll('relay'), relays);
  }
});

test('what is missing or malformed is named, and no key is made for it', async () => {
  stage.records.addKey('gone').deletedAt = 1;
  const { passphrase: _, ...without } = atm;
  assert.match(await refused(without), 'options.passphrase is missing, and no key is named "spire-7" yet');
  assert.match(await refused({ ...atm, passphrase: '' }), 'options.passphrase is missing');
  assert.match(await refused({ ...atm, passphrase: 5 }), 'options.passphrase must be text');
  assert.match(await refused({ ...atm, key: 'a/b' }), 'options.key must be 1 to 128');
  assert.match(await refused({ ...atm, key: false }), 'options.key must be text');
  stage.records.unfit.add('nope');
  assert.is(await refused({ ...atm, policy: 'nope' }), 'policy "nope" is unfit');
  assert.match(await refused({ ...atm, key: 'gone' }), 'a key named "gone" was deleted');
  assert.match(await refused({ ...atm, relays: 'wss://a' }), 'options.relays must be a list');
  assert.match(await refused({ ...atm, relays: ['http://a'] }), 'options.relays[0] must start with wss:// or ws://');
  assert.match(await refused({ ...atm, expires_in_hours: -1 }), 'options.expires_in_hours must be more than 0');
  assert.match(await refused({ ...atm, revoke_old: 'yes' }), 'options.revoke_old must be true or false');
  assert.match(((await stage.ask('pair', ['{'])) as { error: string }).error, 'options is not JSON');
  assert.match(((await stage.ask('pair')) as { error: string }).error, 'options is missing');
  assert.equal([stage.main.got, stage.records.tokens, stage.records.begun], [[], [], stage.records.begun]);
});

test('a lock that comes while the key is being made holds for it', async () => {
  let finish = () => {};
  stage.main.derivation = new Promise((resolve) => {
    finish = resolve;
  });
  const paired = ask(atm);
  await stage.settled();
  const locked = stage.ask('lock_key', ['spire-7']);
  await stage.settled();
  finish();
  assert.is((await paired).error, undefined);
  assert.is((await locked).error, undefined);
  assert.not(stage.main.unlocked.has('spire-7'));
  assert.type(stage.records.keys[0]!.lockedAt, 'number');
});

test.run();
