/** What no rule answers: admins are asked, and what they say holds (docs/ADMIN.md, approvals). */
import { generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, rows } from '../support/database.ts';
import { adminOf, type Paired, pair } from '../support/provision.ts';
import { type Encryption, RpcClient, type RpcResponse } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const daemon = new TestDaemon({
  env: {
    REDOUBT_APPROVAL_TIMEOUT: '1500',
    REDOUBT_ASK_FOR_STRANGERS: 'true',
    REDOUBT_LIMITS_KEY_QUEUE: '4',
    REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000',
    REDOUBT_LIMITS_STRANGERS_TOTAL: '1000',
  },
});

interface Acl {
  id: string;
  keyName: string;
  remotePubkey: string;
  method: string;
  param: string;
  description: string;
  encryption: Encryption;
  kind: number;
}

let admin: RpcClient;
let paired: Paired;
let client: RpcClient;
let seen = 0;

test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
});
test.after(async () => {
  admin?.close();
  client?.close();
  await daemon.remove();
});
test.before.each(async () => {
  client?.close();
  paired = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }]);
  client = paired.client;
  seen = admin.deliveries.length;
});

const template = (kind: number, content: string = crypto.randomUUID()) =>
  JSON.stringify({ kind, content, tags: [], created_at: Math.floor(Date.now() / 1000) });

/** The questions that reached the admin in this test. */
function questions(): Acl[] {
  return admin.deliveries.slice(seen).flatMap(({ event, encryption, text }) => {
    const { id, method, params } = JSON.parse(text) as { id: string; method?: string; params: string[] };
    return method === 'acl' ? [{ ...JSON.parse(params[0]!), id, encryption, kind: event.kind } as Acl] : [];
  });
}

async function question(n = 0): Promise<Acl> {
  await until('an admin is asked', () => questions().length > n);
  return questions()[n]!;
}

/** An admin's response event, as nsecbunkerd's web interface sends it. */
function decide(id: string, result: unknown, options: { encryption?: Encryption; from?: RpcClient } = {}) {
  const { from = admin, encryption = 'nip44' } = options;
  const { event } = from.request('', [], { body: JSON.stringify({ id, result: JSON.stringify(result) }), encryption });
  from.sendEvent(event);
  return event;
}

const sign = (kind: number, content?: string) => client.call('sign_event', [template(kind, content)]);

function signed(response: RpcResponse): void {
  assert.is(response.error, undefined);
  assert.ok(verifyEvent(JSON.parse(response.result)));
}

async function conditions(): Promise<{ method: string; kind: string | null; allowed: boolean }[]> {
  const users = JSON.parse(await admin.result('get_key_users', ['demo']));
  const user = users.find((one: { pubkey: string }) => one.pubkey === client.pubkey);
  return user.signingConditions.map(({ method, kind, allowed }: never) => ({ method, kind, allowed }));
}

test('the question says who asks for what; an admin who has written nothing yet reads it in NIP-04', async () => {
  await daemon.kill();
  await daemon.start();
  admin.close();
  admin = await adminOf(daemon);
  seen = 0;
  client.close();
  client = await new RpcClient(client.secretKey, client.remote).open(daemon.quickstart.relay);
  const content = 'what is to be signed ✓';
  const answer = sign(7, content);
  const asked = await question();
  assert.is(asked.kind, 24134);
  assert.is(asked.encryption, 'nip04');
  assert.is(asked.keyName, 'demo');
  assert.is(asked.remotePubkey, client.pubkey);
  assert.is(asked.method, 'sign_event');
  assert.is(JSON.parse(asked.param).content, content);
  assert.is(asked.description, 'test', 'what the client is called');
  decide(asked.id, ['once'], { encryption: 'nip04' });
  signed(await answer);
});

test('an admin who has written in NIP-44 since is asked in NIP-44', async () => {
  await admin.result('ping');
  const answer = sign(7);
  const asked = await question();
  assert.is(asked.encryption, 'nip44');
  decide(asked.id, ['once']);
  signed(await answer);
});

test('always: this request and those like it, without another question; the name that the client has stays', async () => {
  const answer = sign(7);
  decide((await question()).id, ['always', 'the machine in the hall', {}]);
  signed(await answer);
  signed(await sign(7));
  assert.is(questions().length, 1);
  assert.equal(await conditions(), [{ method: 'sign_event', kind: '7', allowed: true }]);
  const users = JSON.parse(await admin.result('get_key_users', ['demo']));
  const user = users.find((one: { pubkey: string }) => one.pubkey === client.pubkey);
  assert.is(user.description, 'test');
});

for (const [scope, kind, others] of [
  [{ kind: 8 }, '8', false],
  [{ kind: '8' }, '8', false],
  [{ kind: 'all' }, 'all', true],
] as const) {
  test(`always with the scope ${JSON.stringify(scope)}`, async () => {
    const answer = sign(8);
    decide((await question()).id, ['always', '', scope]);
    signed(await answer);
    assert.equal(await conditions(), [{ method: 'sign_event', kind, allowed: true }]);
    const other = await sign(9);
    if (others) signed(other);
    else assert.is(other.error, 'not authorized');
  });
}

test('always for a kind that `all` does not include allows what was asked, and not the next one', async () => {
  const answer = sign(22242);
  decide((await question()).id, ['always', '', { kind: 'all' }]);
  signed(await answer);
  const next = sign(22242);
  decide((await question(1)).id, ['no']);
  assert.is((await next).error, 'not authorized');
});

test('once: this request, its retry, and nothing else', async () => {
  const text = template(7);
  const { event, response } = client.send('sign_event', [text], { id: 'once' });
  decide((await question()).id, ['once']);
  const first = await response;
  signed(first);
  const retry = await client.call('sign_event', [text], { id: 'once' });
  assert.equal(retry, first, 'a retry gets the same signature');
  assert.equal(await conditions(), []);
  const next = sign(7);
  decide((await question(1)).id, ['no']);
  assert.is((await next).error, 'not authorized');
  const used = auditRows(daemon, client.pubkey, 'sign_event').filter(({ params }) => params.envelope === event.id);
  assert.is(used.length, 1);
  assert.is(used[0]!.params.grant, `admin:${admin.pubkey}`);
});

test('never: refused, now and later, without another question', async () => {
  const answer = sign(7);
  decide((await question()).id, ['never']);
  assert.is((await answer).error, 'not authorized');
  assert.is((await sign(7)).error, 'not authorized');
  assert.is(questions().length, 1);
  assert.equal(await conditions(), [{ method: 'sign_event', kind: '7', allowed: false }]);
  signed(await sign(1));
});

for (const result of [['no'], ['always', '', { kind: 'sixty' }], ['always', '', 7], {}, 'always', null]) {
  test(`anything else denies this one and writes nothing: ${JSON.stringify(result)}`, async () => {
    const answer = sign(7);
    decide((await question()).id, result);
    assert.is((await answer).error, 'not authorized');
    assert.equal(await conditions(), []);
  });
}

test('nobody answers: not authorized; an `always` that comes late answers the next try', async () => {
  const answer = await sign(7);
  assert.is(answer.error, 'not authorized');
  await until('the denial is logged', () => lines('denied').some((line) => line.includes('nothing-answers')));
  const { id } = await question();
  decide(id, ['always']);
  // As nsecbunkerd's web interface does right after it.
  await admin.result('rename_key_user', [client.pubkey, 'late but here']);
  signed(await sign(7));
  assert.is(questions().length, 1);
});

test('the same asked twice at once is one question, and both are answered', async () => {
  const text = template(7);
  const answers = [client.call('sign_event', [text]), client.call('sign_event', [text])];
  const asked = await question();
  // Answered after the second one has been taken in.
  assert.is((await client.call('ping')).result, 'pong');
  decide(asked.id, ['once']);
  for (const answer of await Promise.all(answers)) signed(answer);
  assert.is(questions().length, 1);
});

test('copies of one request are one question, and are denied with it', async () => {
  const params = [template(7)];
  const copies = Array.from({ length: 4 }, (_, i) =>
    client.request('sign_event', params, { id: 'copied', createdAt: Math.floor(Date.now() / 1000) - i }),
  );
  for (const { event } of copies) client.sendEvent(event);
  decide((await question()).id, ['deny']);
  await until('all are answered', () => client.received.filter(({ id }) => id === 'copied').length === copies.length);
  assert.ok(client.received.every(({ id, error }) => id !== 'copied' || error === 'not authorized'));
  assert.is(questions().length, 1);
});

test('a rule that is written for one answers the others that wait for it, at once', async () => {
  const late = lines('approval: no answer in time').length;
  const answers = [sign(7), sign(7), sign(7)];
  await question(2);
  decide(questions()[1]!.id, ['always']);
  for (const answer of await Promise.all(answers)) signed(answer);
  assert.is(lines('approval: no answer in time').length, late);
});

test('what waits for an admin holds no place in the queue', async () => {
  const waiting: Promise<RpcResponse>[] = [];
  for (let n = 0; n < 7; n++) {
    waiting.push(sign(7));
    await question(n);
  }
  const answers = await Promise.all(Array.from({ length: 4 }, () => client.call('ping')));
  assert.ok(answers.every(({ result }) => result === 'pong'));
  const listed = JSON.parse(await admin.result('get_requests')) as { client: string; waiting: boolean }[];
  assert.is(listed.filter((row) => row.waiting && row.client === client.pubkey).length, 7);
  for (const { id } of questions()) decide(id, ['no']);
  for (const answer of await Promise.all(waiting)) assert.is(answer.error, 'not authorized');
});

test('one client may have eight questions open: more are refused at once', async () => {
  const waiting: Promise<RpcResponse>[] = [];
  for (let n = 0; n < 8; n++) {
    waiting.push(sign(7));
    await question(n);
  }
  assert.is((await sign(7)).error, 'not authorized');
  for (const { id } of questions()) decide(id, ['once']);
  for (const answer of await Promise.all(waiting)) signed(answer);
  assert.is(questions().length, 8);
});

test('nobody but an admin decides, and no answer counts twice', async () => {
  const someone = await new RpcClient(generateSecretKey(), admin.remote, 24134).open(daemon.quickstart.relay);
  const answer = sign(7);
  const { id } = await question();
  decide(id, ['always'], { from: someone });
  assert.is((await answer).error, 'not authorized');
  assert.equal(await conditions(), []);
  someone.close();

  const again = sign(7);
  const event = decide((await question(1)).id, ['once']);
  signed(await again);
  const verdict = await admin.submit(event);
  assert.ok(verdict.reason.includes('duplicate') || verdict.ok);
  const rows = () => decisions().filter((row) => row.event === event.id);
  // The client may have its answer before the end of the command is written down.
  await until('the end of the command is written down', () => rows().length >= 2);
  assert.is(rows().length, 2, 'begun and ended once');
});

test('requests are listed, approved and denied by method', async () => {
  const content = crypto.randomUUID();
  const answer = sign(7, content);
  await question();
  const [row] = JSON.parse(await admin.result('get_requests')).filter((one: { param: string }) =>
    one.param.includes(content),
  );
  assert.is(row.key, 'demo');
  assert.is(row.client, client.pubkey);
  assert.is(row.kind, 7);
  assert.is(row.waiting, true);
  assert.is(await admin.result('approve_request', [row.id, '{"kind":"all"}']), '["ok"]');
  signed(await answer);
  signed(await sign(9));

  const nobody = await admin.call('approve_request', [row.id]);
  assert.is(nobody.result, 'error');
  assert.match(nobody.error!, /no request .* waits/);
  for (const scope of ['{"kind":70000}', '7', 'x', '{"once":1}']) {
    assert.match((await admin.call('approve_request', [row.id, scope])).error!, /^Invalid params: scope/);
  }

  const other = client.call('nip44_encrypt', [getPublicKey(generateSecretKey()), 'text']);
  const asked = await question(1);
  assert.not.match(asked.param, 'text', 'a plaintext is not shown');
  assert.is(await admin.result('deny_request', [asked.id]), '["ok"]');
  assert.is((await other).error, 'not authorized');
});

test('a stranger is let in always, once, or never', async () => {
  const stranger = async () => new RpcClient(generateSecretKey(), client.remote).open(daemon.quickstart.relay);
  const metadata = JSON.stringify({ name: 'a lamp', url: 'https://lamp.example' });
  const connect = (who: RpcClient) => who.call('connect', [who.remote, '', 'sign_event:7', metadata]);

  const welcome = await stranger();
  const first = connect(welcome);
  const asked = await question();
  assert.is(asked.method, 'connect');
  assert.is(asked.param, 'sign_event:7');
  assert.match(asked.description, 'a lamp');
  decide(asked.id, ['always', 'lamp', {}]);
  await admin.result('rename_key_user', [welcome.pubkey, 'the lamp']);
  assert.is((await first).result, 'ack');
  assert.is((await welcome.call('ping')).result, 'pong');

  const guest = await stranger();
  const second = connect(guest);
  decide((await question(1)).id, ['once']);
  assert.is((await second).result, 'ack');
  assert.is((await guest.call('get_public_key')).result, client.remote);
  const more = guest.call('sign_event', [template(7)]);
  decide((await question(2)).id, ['no']);
  assert.is((await more).error, 'not authorized', 'what it asked for at connecting grants nothing');

  const unwanted = await stranger();
  const third = connect(unwanted);
  decide((await question(3)).id, ['never']);
  assert.is((await third).error, 'not authorized');
  assert.is((await connect(unwanted)).error, 'not authorized');
  assert.is((await unwanted.call('ping')).error, 'not authorized');
  assert.is(questions().length, 4);
  for (const one of [welcome, guest, unwanted]) one.close();
});

test('a stranger who asked at a key that was purged is not let in at the next key of its name', async () => {
  await admin.result('create_new_key', ['reused', 'a passphrase']);
  const pubkeyOf = async () => {
    const keys = JSON.parse(await admin.result('get_keys')) as { name: string; pubkey: string }[];
    return keys.find(({ name }) => name === 'reused')!.pubkey;
  };
  const stranger = await new RpcClient(generateSecretKey(), await pubkeyOf()).open(daemon.quickstart.relay);
  stranger.sendEvent(stranger.request('connect', [stranger.remote, '']).event);
  const { id } = await question();
  await admin.result('delete_key', ['reused']);
  const listed = JSON.parse(await admin.result('get_requests')) as { id: string }[];
  assert.not.ok(listed.some((row) => row.id === id));
  await admin.result('purge_key', ['reused']);
  await admin.result('create_new_key', ['reused', 'a passphrase']);
  assert.match((await admin.call('approve_request', [id])).error!, /no request .* waits/);
  assert.equal(JSON.parse(await admin.result('get_key_users', ['reused'])), []);
  stranger.close();
});

test('of one key five strangers may wait at once', async () => {
  const strangers = await Promise.all(
    Array.from({ length: 6 }, () => new RpcClient(generateSecretKey(), client.remote).open(daemon.quickstart.relay)),
  );
  const waiting: Promise<RpcResponse>[] = [];
  for (const [n, one] of strangers.slice(0, 5).entries()) {
    waiting.push(one.call('connect', [one.remote, '']));
    await question(n);
  }
  const sixth = strangers[5]!;
  assert.is((await sixth.call('connect', [sixth.remote, ''])).error, 'not authorized');
  for (const { id } of questions()) decide(id, ['no']);
  for (const answer of await Promise.all(waiting)) assert.is(answer.error, 'not authorized');
  assert.is(questions().length, 5);
  for (const one of strangers) one.close();
});

test('every decision is in the audit log, with who made it and what it was', async () => {
  const answer = sign(7);
  decide((await question()).id, ['always']);
  signed(await answer);
  await until('the end is recorded', () => decisions().some((row) => row.outcome === 'ok' && isMine(row)));
  const [begun, ended] = decisions().filter(isMine);
  for (const row of [begun, ended]) assert.is(row!.admin, admin.pubkey);
  assert.is(begun!.target, `demo: always sign_event:7 for ${client.pubkey}`);
});

/** What the daemon has logged under this message. */
function lines(message: string): string[] {
  return daemon.output.split('\n').filter((line) => line.includes(`"msg":"${message}"`));
}

/** Audit rows of admins' answers, oldest first. */
function decisions(): { [name: string]: unknown }[] {
  return rows<{ params: string }>(daemon, "SELECT params FROM Log WHERE method = 'acl' ORDER BY id").map(({ params }) =>
    JSON.parse(params),
  );
}

function isMine({ target }: { [name: string]: unknown }): boolean {
  return String(target).endsWith(client.pubkey);
}

test.run();
