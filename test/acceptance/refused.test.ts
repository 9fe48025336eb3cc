// deadline: 120 s
/** Requests to the daemon that must come to nothing, over its relay: what is answered, what is done, what is recorded. */
import { generateSecretKey, nip44 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SignedEvent } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { rows } from '../support/database.ts';
import { dropped } from '../support/metrics.ts';
import { adminOf } from '../support/provision.ts';
import { RpcClient } from '../support/rpc.ts';
import { quickFinalize } from '../support/sign.ts';
import { until } from '../support/until.ts';

const NOT_AN_ADMIN = 'You are not designated to administrate this bunker';
const LARGEST = 262_144;

const daemon = new TestDaemon({ env: { REDOUBT_KEYSTORE_LOG_N: '14' } });
let admin: RpcClient;

async function open(): Promise<void> {
  admin = await adminOf(daemon);
}

test.before(async () => {
  await daemon.start();
  await open();
});
test.after(async () => {
  admin?.close();
  await daemon.remove();
});

async function restart(): Promise<void> {
  admin.close();
  await daemon.kill();
  await daemon.start();
  await open();
}

interface Refused {
  phase: string;
  sender: string;
  event: string;
  genuine: boolean;
  reason: string;
}

/** What the audit log says was refused of this sender, oldest first. */
function refusedOf(sender: string): string[] {
  return rows<{ params: string }>(daemon, "SELECT params FROM Log WHERE type = 'admin' ORDER BY id")
    .map(({ params }) => JSON.parse(params) as Refused)
    .filter((row) => row.phase === 'refused' && row.sender === sender)
    .map(({ reason, genuine }) => (genuine ? reason : `${reason}, not genuine`));
}

/** Rows are written behind the refusal, which waits for none. */
const recorded = (sender: string, reasons: string[]) =>
  until(`recorded: ${reasons}`, () => JSON.stringify(refusedOf(sender)) === JSON.stringify(reasons));

const policyNames = async () =>
  (JSON.parse(await admin.result('get_policies')) as { name: string }[]).map(({ name }) => name);

function newPolicy(name: string): string {
  return JSON.stringify({ name, rules: [{ method: 'sign_event', kind: 1 }] });
}

/** An event with this content as it is. */
function enclose(content: string, secretKey = admin.secretKey, pubkey = admin.pubkey): SignedEvent {
  const tags = [['p', admin.remote]];
  return quickFinalize({ kind: 24134, tags, content, created_at: Math.floor(Date.now() / 1000) }, secretKey, pubkey);
}

function sealed(text: string): SignedEvent {
  return enclose(nip44.encrypt(text, nip44.getConversationKey(admin.secretKey, admin.remote)));
}

test('who is no admin is told so once a minute, whatever it asks, and nothing is done', async () => {
  const { daemon_pubkey, relay } = daemon.quickstart;
  const stranger = await new RpcClient(generateSecretKey(), daemon_pubkey, 24134).open(relay);
  const first = await stranger.call('create_new_policy', [newPolicy('of a stranger')]);
  assert.equal([first.result, first.error], ['error', NOT_AN_ADMIN]);
  for (const method of ['ping', 'get_keys']) assert.ok((await stranger.submit(stranger.request(method, []).event)).ok);
  const other = await new RpcClient(generateSecretKey(), daemon_pubkey, 24134).open(relay);
  assert.is((await other.call('unlock_key', ['demo', 'a guess'])).error, NOT_AN_ADMIN);
  assert.is(stranger.received.length, 1, 'the others of the first one were looked at before, and not answered');
  assert.not((await policyNames()).includes('of a stranger'));
  await recorded(stranger.pubkey, ['not an admin']);
  await recorded(other.pubkey, ['not an admin']);
  stranger.close();
  other.close();
});

test('of strangers ten events a minute are looked at, and admins are served meanwhile', async () => {
  await restart();
  const { daemon_pubkey, relay } = daemon.quickstart;
  const strangers = await Promise.all(
    Array.from({ length: 12 }, () => new RpcClient(generateSecretKey(), daemon_pubkey, 24134).open(relay)),
  );
  const verdicts: boolean[] = [];
  for (const one of strangers) verdicts.push((await one.submit(one.request('ping', []).event)).ok);
  assert.equal(verdicts, [...Array(10).fill(true), false, false]);
  assert.is(await admin.result('ping'), 'ok');
  const answered = strangers.map(({ received }) => received.length);
  assert.equal(answered, [...Array(10).fill(1), 0, 0]);
  assert.is(await dropped(daemon, 'admin: not an admin'), 10);
  for (const one of strangers) one.close();
  await restart();
});

test('a malformed request: silence where nothing tells what to answer, else an error that names what is wrong', async () => {
  const before = admin.received.length;
  const junk = [sealed('no JSON'), sealed('[]'), sealed('{"method":"ping"}'), sealed('{"id":"x","params":[]}')];
  for (const event of [...junk, enclose('neither NIP-44 nor NIP-04')]) assert.ok((await admin.submit(event)).ok);
  assert.is(admin.received.length, before);
  assert.is((await admin.call('create_new_policy', ['{'])).error, 'Invalid params: policy is not JSON');
  assert.is((await admin.call('revoke_user', [])).error, 'Invalid params: keyUserId is missing');
  assert.is((await admin.call('unlock_kye', ['demo', 'a passphrase'])).error, 'Unknown method unlock_kye');
  assert.is(await admin.result('ping'), 'ok');
  await recorded(admin.pubkey, ['not a request', 'undecryptable', 'invalid params', 'unknown method']);
  const log = JSON.stringify(rows(daemon, 'SELECT params FROM Log'));
  assert.not(log.includes('unlock_kye') || log.includes('a passphrase'), 'nothing that was sent is in it');
});

test('an oversized request is refused by the relay that it comes to', async () => {
  const large = enclose('A'.repeat(LARGEST + 1));
  const { ok, reason } = await admin.submit(large);
  assert.is(ok, false);
  assert.match(reason, /^invalid: /);
  assert.is(await admin.result('ping'), 'ok', 'on the same connection');
});

test('a forged one is refused, does nothing, and does not keep the true one out', async () => {
  const { id, event } = admin.request('create_new_policy', [newPolicy('true')]);
  const impostor = generateSecretKey();
  // Signed with another key, in the admin's name: what a stranger can do at most.
  const named = enclose(event.content, impostor, admin.pubkey);
  const forged = [
    named,
    { ...event, sig: named.sig },
    { ...event, id: '0'.repeat(64) },
    { ...event, created_at: event.created_at + 1 },
  ];
  for (const one of forged) assert.is((await admin.submit(one)).ok, false);
  assert.not((await policyNames()).includes('true'));
  await until('recorded', () => refusedOf(admin.pubkey).includes('signature, not genuine'));

  const answered = admin.next(id);
  assert.ok((await admin.submit(event)).ok);
  assert.is((await answered).result, '["ok"]');
  assert.ok((await policyNames()).includes('true'));
});

test('a replayed one does nothing and is not answered, in this run and after a restart', async () => {
  const made = admin.send('create_new_policy', [newPolicy('once')]);
  assert.is((await made.response).result, '["ok"]');
  await admin.result('create_new_key', ['replayed', 'a passphrase']);
  await admin.result('lock_key', ['replayed']);
  const unlock = admin.send('unlock_key', ['replayed', 'a passphrase']);
  assert.is((await unlock.response).result, '{"success":true}');
  await new Promise((resolve) => setTimeout(resolve, 1100 - (Date.now() % 1000)));
  await admin.result('lock_key', ['replayed']);

  const answers = admin.received.length;
  for (const { event } of [made, unlock]) await admin.submit(event);
  await admin.result('ping');
  assert.is(admin.received.length, answers + 1, 'nothing but the ping was answered');

  await restart();
  for (const { event } of [made, unlock]) await admin.submit(event);
  await admin.result('ping');
  const names = await policyNames();
  assert.is(names.filter((name) => name === 'once').length, 1);
  const keys = JSON.parse(await admin.result('get_keys')) as { name: string; locked: boolean }[];
  assert.is(keys.find(({ name }) => name === 'replayed')!.locked, true, 'a replayed unlock undoes no lock');
  assert.is(admin.received.length, 3, 'nothing but the ping and the two lists was answered');
  await until('recorded', () => refusedOf(admin.pubkey).includes('replayed'));
});

test.run();
