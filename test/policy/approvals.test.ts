/** What admins decide where no rule answers: passes, and rules that are written. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DecideRequest, Decision } from '../../src/policy/protocol.ts';
import { fresh, hex, movableClock, Rig } from './rig.ts';

const clock = movableClock();
let rig: Rig;
test.before.each(async () => {
  rig = await Rig.open({ askForStrangers: true }, clock);
  assert.ok((await rig.main.ask('createKey', { name: 'key', pubkey: hex('key') })).ok);
});
test.after.each(() => rig.end());

const REFUSED: Decision = { ok: false, refusal: 'not authorized' };
const who = { keyName: 'key', client: hex('client') };
/** A request that leaves it to an admin; it stays open what its own `final` says. */
const open = (over: Partial<DecideRequest> = {}) => {
  const { final: _, ...asked } = rig.asked(over);
  return rig.key('key').ask('decide', asked);
};
const connect = (over: Partial<DecideRequest> = {}) => {
  const { final: _, method: __, kind: ___, eventId: ____, peer: _____, recheck: ______, ...asked } = rig.asked(over);
  return rig.key('key').ask('connect', { ...asked, secret: '' });
};
const pass = (id: string, over: { client?: string; method?: string; kind?: number | null } = {}) =>
  rig.admin.ask('passOnce', { passes: [id], ...who, method: 'sign_event', kind: 1, admin: hex('admin'), ...over });
const write = (over: object = {}) =>
  rig.admin.ask('writeApproval', {
    ...who,
    method: 'sign_event' as const,
    kind: '1',
    allowed: true,
    label: null,
    ...over,
  });
/** Binds the client by letting it in once. */
async function bind(): Promise<void> {
  await pass('in', { method: 'connect', kind: null });
  assert.ok((await connect({ pass: 'in' })).ok);
}

test('what no rule answers is asked for, and denied when the admins have been asked', async () => {
  assert.equal(await connect(), { ...REFUSED, ask: { label: null, stranger: true } });
  await bind();
  assert.equal(rig.bound, [`key ${hex('client')}`]);
  await write({ kind: '9', label: 'a lamp' });
  assert.equal(await open(), { ...REFUSED, ask: { label: 'a lamp', stranger: false } });
  assert.equal(await rig.decide(), REFUSED);
});

test('nobody is asked about strangers unless that is configured', async () => {
  const shy = await Rig.open({}, clock);
  try {
    assert.ok((await shy.main.ask('createKey', { name: 'key', pubkey: hex('key') })).ok);
    const { final: _, method: __, kind: ___, eventId: ____, peer: _____, recheck: ______, ...asked } = shy.asked();
    assert.equal(await shy.key('key').ask('connect', { ...asked, secret: '' }), REFUSED);
  } finally {
    await shy.end();
  }
});

test('a pass is good for one request and its retries, of that client, method and kind', async () => {
  await bind();
  await pass('other in', { client: hex('other'), method: 'connect', kind: null });
  assert.ok((await connect({ client: hex('other'), pass: 'other in' })).ok);
  await pass('p');
  for (const other of [{ client: hex('other') }, { method: 'nip44_encrypt' as const, kind: null }, { kind: 2 }]) {
    assert.not((await open({ pass: 'p', ...other })).ok);
  }
  const body = fresh();
  assert.equal(await open({ pass: 'p', body }), { ok: true, grant: `admin:${hex('admin')}` });
  assert.ok((await open({ body })).ok, 'a retry in another event');
  assert.ok((await open({ body, recheck: true })).ok, 'a retry that the key actor holds the answer to');
  assert.not((await open({ pass: 'p' })).ok);
  assert.not((await open({ pass: 'no such pass' })).ok);
});

test('a pass is good for one of two requests that arrive together', async () => {
  await bind();
  await pass('p');
  const answers = await Promise.all([open({ pass: 'p' }), open({ pass: 'p' })]);
  assert.equal(
    answers.map(({ ok }) => ok),
    [true, false],
  );
});

test('a pass ends by itself', async () => {
  await bind();
  await pass('p');
  clock.advance(600_001);
  assert.not((await open({ pass: 'p' })).ok);
});

test('a denial that is written after the pass was given wins', async () => {
  await bind();
  await pass('p');
  await write({ allowed: false });
  assert.equal(await open({ pass: 'p' }), REFUSED);
});

test('a pass that could not be recorded is not used up', async () => {
  await bind();
  await pass('p');
  const other = rig.other();
  other.exec('BEGIN IMMEDIATE');
  const answer = open({ pass: 'p' });
  await new Promise((resolve) => setTimeout(resolve, 60));
  other.exec('ROLLBACK');
  other.close();
  assert.ok((await answer).ok);
});

test('an approval writes one condition, however often; nothing for who is gone', async () => {
  assert.not((await write()).ok, 'not bound');
  await bind();
  for (let i = 0; i < 2; i++) assert.ok((await write({ label: 'a lamp' })).ok);
  const [user] = await rig.admin.ask('pageUsers', { keyName: 'key', after: 0, offset: 0, limit: 100 });
  assert.is(user!.conditions.length, 1);
  assert.is(user!.description, 'a lamp');
  assert.is((await rig.admin.ask('revokeUser', { id: user!.id })).ok, true);
  const revoked = await write({ kind: '2' });
  assert.match(revoked.ok ? '' : revoked.refusal, /revoked/);
  await rig.admin.ask('deleteKey', { name: 'key' });
  const gone = await write({ kind: '2' });
  assert.match(gone.ok ? '' : gone.refusal, /no key key/);
});

test('a label names a client that has no name, and renames none', async () => {
  await bind();
  const user = async () => (await rig.admin.ask('pageUsers', { keyName: 'key', after: 0, offset: 0, limit: 100 }))[0]!;
  for (const label of ['a lamp', 'another lamp']) {
    assert.ok((await write({ label })).ok);
    assert.is((await user()).description, 'a lamp');
  }
});

test('a stranger who may never connect is denied everything, and not asked about again', async () => {
  assert.ok((await write({ method: 'connect', kind: null, allowed: false })).ok);
  assert.equal(await connect(), REFUSED);
  assert.equal(await open({ method: 'ping', kind: null }), REFUSED);
});

test.run();
