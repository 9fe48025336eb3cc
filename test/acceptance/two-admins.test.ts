// deadline: 240 s
/**
 * Two admins change the same policies, tokens and clients at once, over two relays, and some of their requests come
 * twice: every request is answered once, and the outcome is what one of the orders that are possible would have made.
 * Which one it was is in the audit log; a model carries the same commands out in that order.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateSecretKey, getPublicKey, nip19 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeRelay } from '../relay/fake-relay.ts';
import type { SignedEvent } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { rows } from '../support/database.ts';
import { createPolicy, issueToken, pair } from '../support/provision.ts';
import { RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';
import { type Command, draw, Model, type Policy, type Start } from './two-admins-model.ts';

const REQUESTS = Number(process.env.REDOUBT_TWO_ADMINS_REQUESTS ?? 100);
const POLICIES = 12;
const TOKENS = 20;
const CLIENTS = 3;
/** Of ten requests: so many are sent over both relays, and so many are sent again in an event of their own. */
const TWICE = 2;
const AGAIN = 1;

const relay = await FakeRelay.start();
const daemon = new TestDaemon({ config: { nostr: { relays: [relay.url] } } });

/** One admin: on the embedded relay, and on the other one. */
let admins: [near: RpcClient, far: RpcClient][] = [];
let start: Start;

test.before(async () => {
  await daemon.start();
  await daemon.stop();
  const second = generateSecretKey();
  const file = join(daemon.data, 'nsecbunker.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  config.admin.npubs.push(nip19.npubEncode(getPublicKey(second)));
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  await daemon.start();
  const keys = [nip19.decode(daemon.adminSecretKey() as `nsec1${string}`).data, second];
  const { daemon_pubkey } = daemon.quickstart;
  const open = (key: Uint8Array, url: string) => new RpcClient(key, daemon_pubkey, 24134).open(url);
  admins = await Promise.all(
    keys.map(
      async (key): Promise<[RpcClient, RpcClient]> => [
        await open(key, daemon.quickstart.relay),
        await open(key, relay.url),
      ],
    ),
  );
  const [admin] = admins[0]!;
  await until('the other relay is ready', async () => {
    const { relays } = JSON.parse(await admin.result('get_status')) as { relays: { state: string }[] };
    return relays.every(({ state }) => state === 'ready');
  });
  const policies: number[] = [];
  for (let i = 0; i < POLICIES; i++) {
    const kinds = [100, 101].map((kind) => ({ method: 'sign_event', kind }));
    policies.push(await createPolicy(admin, `policy ${i}`, kinds));
  }
  const tokens: number[] = [];
  for (let i = 0; i < TOKENS; i++) tokens.push((await issueToken(admin, 'demo', policies[0]!)).id);
  const clients: string[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    const { client } = await pair(admin, daemon.quickstart, [{ method: 'ping' }]);
    clients.push(client.pubkey);
    client.close();
  }
  start = { policies: await listPolicies(admin), tokens, clients };
});
test.after(async () => {
  for (const client of admins.flat()) client.close();
  await daemon.remove();
  await relay.stop();
});

async function listPolicies(admin: RpcClient): Promise<Policy[]> {
  return JSON.parse(await admin.result('get_policies')) as Policy[];
}

interface Sent {
  admin: number;
  id: string;
  command: Command;
  /** The first one, and the one that says the same again. */
  events: SignedEvent[];
}

/** Sends everything without waiting for anything. */
function sendAll(commands: Command[]): Sent[] {
  return commands.map((command, i) => {
    const admin = i % 2;
    const [near, far] = admins[admin]!;
    const { id, event } = near.request(command.method, command.params);
    const events = [event];
    const dice = Math.floor(i / 2) % 10;
    near.sendEvent(event);
    if (dice < TWICE) far.sendEvent(event);
    if (dice >= TWICE && dice < TWICE + AGAIN) {
      const again = far.request(command.method, command.params, { id }).event;
      far.sendEvent(again);
      events.push(again);
    }
    return { admin, id, command, events };
  });
}

interface Row {
  phase: 'begin' | 'end';
  event: string;
  outcome?: string;
}

/** Events that were carried out, in their order. */
function carriedOut(): string[] {
  const log = rows<{ params: string }>(daemon, "SELECT params FROM Log WHERE type = 'admin' ORDER BY id");
  const said = log.map(({ params }) => JSON.parse(params) as Row);
  const again = new Set(said.filter(({ outcome }) => outcome === 'answered again').map(({ event }) => event));
  return said.filter(({ phase, event }) => phase === 'begin' && !again.has(event)).map(({ event }) => event);
}

test(`${REQUESTS} requests of two admins at once: each is answered, and their order explains everything`, async () => {
  const commands = draw(start, REQUESTS);
  const sent = sendAll(commands);
  for (const [i, clients] of admins.entries()) {
    const own = sent.filter(({ admin }) => admin === i);
    const expected = own.flatMap(({ id, events }) => events.map(() => id)).sort();
    const asked = new Set(expected);
    for (const client of clients) {
      const answered = () => client.received.map(({ id }) => id).filter((id) => asked.has(id));
      await until('every request is answered', () => answered().length >= expected.length, 200_000);
      assert.equal(answered().sort(), expected, 'none is lost, and none is answered once more');
    }
  }

  const answerTo = new Map(admins.flatMap(([near]) => near.received.map((answer) => [answer.id, answer] as const)));
  for (const { admin, id, events } of sent) {
    const same = admins[admin]!.flatMap(({ received }) => received.filter((answer) => answer.id === id));
    assert.is(same.length, 2 * events.length);
    assert.is(new Set(same.map((answer) => JSON.stringify(answer))).size, 1, 'the same again is the same answer');
  }

  const changing = new Map(sent.flatMap((one) => one.events.map((event) => [event.id, one] as const)));
  const order = carriedOut().flatMap((event) => changing.get(event) ?? []);
  const changes = sent.filter(({ command }) => command.changes);
  assert.is(order.length, changes.length, 'nothing was carried out twice or not at all');
  assert.is(new Set(order).size, changes.length);

  const model = new Model(start);
  const states = new Set([model.state()]);
  for (const { command, id } of order) {
    const refusal = model.apply(command, answerTo.get(id)!);
    assert.is(refusal, null, `${command.method} ${command.params}: ${refusal}`);
    states.add(model.state());
  }
  const [near] = admins[0]!;
  assert.equal(Model.stateOf(await listPolicies(near)), model.state());
  for (const { command, id } of sent) {
    if (command.method !== 'get_policies') continue;
    const listed = JSON.parse(answerTo.get(id)!.result) as Policy[];
    assert.ok(states.has(Model.stateOf(listed)), 'a list is what was so at one moment');
  }
  const users = JSON.parse(await near.result('get_key_users', ['demo'])) as { pubkey: string; description: string }[];
  for (const [client, name] of model.names) {
    assert.is(users.find(({ pubkey }) => pubkey === client)!.description, name);
  }
  const tokens = JSON.parse(await near.result('get_key_tokens', ['demo', '{"limit":1000}'])) as { id: number }[];
  const known = new Set([...start.tokens, ...model.issued]);
  assert.equal(
    tokens.map(({ id }) => id).filter((id) => known.has(id)),
    [...known].filter((id) => !model.revoked.has(id)).sort((a, b) => a - b),
  );
});

test('of one admin on one relay, what touches the same is carried out as it was sent', async () => {
  const [near] = admins[1]!;
  const policy = await createPolicy(near, 'in order', [{ method: 'sign_event', kind: 1 }]);
  const kinds = Array.from({ length: 20 }, (_, i) => i + 2);
  const calls = [
    ...kinds.map((kind) => near.call('add_policy_rule', [policy, 'sign_event', kind])),
    near.call('get_policies', ['{"details":true}']),
    near.call('delete_policy', [policy]),
    near.call('add_policy_rule', [policy, 'sign_event', 99]),
    near.call('get_policies', []),
  ];
  const answers = await Promise.all(calls);
  const [full, deleted, late, gone] = answers.slice(kinds.length);
  const find = (text: string) => (JSON.parse(text) as Policy[]).find(({ id }) => id === policy);
  assert.equal(
    find(full!.result)!.rules.map(({ kind }) => kind),
    [1, ...kinds].map(String),
  );
  assert.is(deleted!.result, '["ok"]');
  assert.match(late!.error!, `there is no policy ${policy}`);
  assert.is(find(gone!.result), undefined);
});

test.run();
