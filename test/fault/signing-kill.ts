/**
 * kill -9 on the daemon while clients sign, again and again, at a moment of chance each time. What each client received
 * is kept and compared with the audit log and the counters.
 *
 * Clients behave as clients do: what was not answered before a kill is asked again after the next start, under its id.
 */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { generateSecretKey, getPublicKey } from 'nostr-tools';
import * as assert from 'uvu/assert';
import { verifyChain } from '../../src/policy/verify.ts';
import type { SignedEvent } from '../support/clients.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { quickVerify } from '../support/sign.ts';
import { until } from '../support/until.ts';

const CLIENTS = 8;
const LANES = 3;
/** The load is on for this long at most when the daemon is killed, ms; every fifth kill comes while it starts. */
const WITHIN_MS = 150;
const START_WITHIN_MS = 900;
const EVERY_START = 5;
/** Requests of all clients after the last kill, after which they look whether any of them was signed. */
const LAST_ROUND = 300;
/** A kind whose rule is counted over all clients, and one whose rule is counted for each. */
const SHARED = 1;
const OWN = 7;

export interface KilledSigning {
  kills: number;
  /** Of them while it was starting. */
  whileStarting: number;
  /** Signatures that clients received. */
  seen: number;
  /** Rows of requests that were counted. */
  rows: number;
  /** Rows of requests that were asked again. */
  retries: number;
  /** Refusals at a limit. */
  refused: number;
  limit: number;
}

interface Client {
  secretKey: Uint8Array;
  pubkey: string;
  /** Ids of the events that it received. */
  seen: Set<string>;
  /** Asked and not answered yet, by lane. */
  open: Map<number, { id: string; template: string }>;
  made: number;
}

interface Limits {
  shared: number;
  own: number;
}

/** What an audit row of a signature says. */
interface Params {
  client: string;
  kind: number;
  event: string;
  retry: boolean;
}

/**
 * Kills the daemon so many times, and lets the clients go on afterwards until both limits are reached.
 *
 * @param lookEvery the records are compared after so many kills, and at the end
 */
export async function killSigning(daemon: TestDaemon, kills: number, lookEvery: number): Promise<KilledSigning> {
  // So that some of the kills come while the last uses are fought for.
  const limits: Limits = { shared: 40 * kills, own: 5 * kills };
  await daemon.start();
  const { clients, policy, remote } = await pairClients(daemon, limits);
  const killed: KilledSigning = {
    kills: 0,
    whileStarting: 0,
    seen: 0,
    rows: 0,
    retries: 0,
    refused: 0,
    limit: limits.shared + CLIENTS * limits.own,
  };
  const look = () => Object.assign(killed, compare(daemon, { clients, policy, limits }));
  const go = (isOver: () => boolean) =>
    Promise.all(clients.map((client) => load(client, { remote, relay: daemon.quickstart.relay, killed, isOver })));

  const answered = () => clients.reduce((sum, { seen }) => sum + seen.size, killed.refused);
  while (killed.kills < kills) {
    killed.kills++;
    if (killed.kills % EVERY_START === 0) {
      await daemon.kill();
      const starting = daemon.start().catch(() => null);
      await sleep(Math.random() * START_WITHIN_MS);
      await daemon.kill();
      await starting;
      killed.whileStarting++;
    } else {
      const before = answered();
      const running = go(() => false);
      await until('the load is on', () => answered() > before);
      await sleep(Math.random() * WITHIN_MS);
      await daemon.kill();
      await running;
    }
    if (killed.kills % lookEvery === 0) look();
    await daemon.start();
  }
  // Until both limits are reached, and nothing is left to ask again.
  for (let before = -1; before !== killed.seen; ) {
    before = killed.seen;
    let asked = 0;
    await go(() => ++asked > LAST_ROUND);
    killed.seen = clients.reduce((sum, { seen }) => sum + seen.size, 0);
  }
  assert.is(await daemon.stop(), 0);
  look();
  assert.equal(
    rulesOf(daemon, policy),
    { shared: limits.shared, own: clients.map(() => limits.own) },
    'both limits are used up',
  );
  assert.is(killed.seen, killed.rows, 'whoever asked again was answered');
  assert.not.match(daemon.output, /"level":"(error|fatal)"/, 'every start was clean');
  return killed;
}

async function pairClients(daemon: TestDaemon, limits: Limits) {
  const admin = await adminOf(daemon);
  const policy = await createPolicy(admin, 'counted', [
    { method: 'sign_event', kind: SHARED, use_count: limits.shared },
    { method: 'sign_event', kind: OWN, use_count_per_token: limits.own },
  ]);
  const clients: Client[] = [];
  let remote = '';
  for (let i = 0; i < CLIENTS; i++) {
    const token = parseBunkerUrl((await issueToken(admin, 'demo', policy)).bunker_url);
    remote = token.pubkey;
    const secretKey = generateSecretKey();
    const rpc = await new RpcClient(secretKey, remote).open(daemon.quickstart.relay);
    assert.is(await rpc.result('connect', [remote, token.secret]), 'ack');
    rpc.close();
    clients.push({ secretKey, pubkey: getPublicKey(secretKey), seen: new Set(), open: new Map(), made: 0 });
  }
  admin.close();
  return { clients, policy, remote };
}

/** Signs until the daemon is gone, or it is over. */
async function load(
  client: Client,
  to: { remote: string; relay: string; killed: KilledSigning; isOver: () => boolean },
): Promise<void> {
  // The daemon may be killed before the client has connected to it.
  const rpc = await new RpcClient(client.secretKey, to.remote).open(to.relay).catch(() => null);
  if (rpc === null) return;
  const gone = new Promise<null>((resolve) => rpc.socket.once('close', () => resolve(null)));
  const lane = async (lane: number) => {
    while (!to.isOver()) {
      const { id, template } = client.open.get(lane) ?? ask(client, lane);
      const response = await Promise.race([rpc.send('sign_event', [template], { id }).response, gone]);
      if (response === null) return;
      client.open.delete(lane);
      if (response.error !== undefined) {
        assert.is(response.error, 'usage limit reached');
        to.killed.refused++;
        continue;
      }
      const event = JSON.parse(response.result) as SignedEvent;
      assert.is(event.content, JSON.parse(template).content, 'the answer to what was asked');
      assert.not.ok(client.seen.has(event.id), 'a request that was answered was not asked again');
      assert.ok(quickVerify(event));
      client.seen.add(event.id);
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, i) => lane(i)));
  rpc.close();
}

function ask(client: Client, lane: number): { id: string; template: string } {
  const asked = {
    id: `${client.made++}`,
    template: JSON.stringify({
      kind: client.made % 2 === 0 ? SHARED : OWN,
      content: crypto.randomUUID(),
      tags: [],
      created_at: Math.floor(Date.now() / 1000),
    }),
  };
  client.open.set(lane, asked);
  return asked;
}

/** What clients saw, what was recorded and what was counted agree, and the file is whole. The daemon may run. */
function compare(daemon: TestDaemon, of: { clients: Client[]; policy: number; limits: Limits }) {
  const path = join(daemon.data, 'nsecbunker.db');
  const database = new Database(path);
  const params = (
    database.prepare(`SELECT params FROM Log WHERE method = 'sign_event' ORDER BY id`).all() as { params: string }[]
  ).map((row) => JSON.parse(row.params) as Params);
  assert.is(database.pragma('integrity_check', { simple: true }), 'ok');
  database.close();
  const report = verifyChain(path);
  assert.ok(report.ok, report.wrong?.line);

  const counted = params.filter(({ retry }) => !retry);
  const owner = new Map(counted.map(({ event, client }) => [event, client]));
  assert.is(owner.size, counted.length, 'no event was counted twice');
  for (const { event, retry } of params) if (retry) assert.ok(owner.has(event), 'a retry of something');
  let seen = 0;
  const rules = rulesOf(daemon, of.policy);
  for (const [i, client] of of.clients.entries()) {
    for (const id of client.seen) assert.is(owner.get(id), client.pubkey, `${id} was seen, and is in the audit log`);
    const rows = counted.filter((row) => row.client === client.pubkey);
    assert.ok(rows.length >= client.seen.size);
    assert.is(rows.filter(({ kind }) => kind === OWN).length, rules.own[i] ?? 0, 'counted for each client');
    assert.ok((rules.own[i] ?? 0) <= of.limits.own);
    seen += client.seen.size;
  }
  assert.is(counted.filter(({ kind }) => kind === SHARED).length, rules.shared, 'counted over all clients');
  assert.ok(rules.shared <= of.limits.shared);
  return { seen, rows: counted.length, retries: params.length - counted.length };
}

/** The counters in the file: of the rule for all, and of the other one for each client in the order of their pairing. */
function rulesOf(daemon: TestDaemon, policy: number): { shared: number; own: number[] } {
  const database = new Database(join(daemon.data, 'nsecbunker.db'), { readonly: true });
  try {
    const shared = database
      .prepare(`SELECT COALESCE(currentUsageCount, 0) FROM PolicyRule WHERE policyId = ? AND kind = '${SHARED}'`)
      .pluck()
      .get(policy) as number;
    const own = database
      .prepare(
        `SELECT COALESCE("count", 0) FROM Token LEFT JOIN TokenRuleUsage ON tokenId = Token.id
          WHERE policyId = ? ORDER BY Token.id`,
      )
      .pluck()
      .all(policy) as number[];
    return { shared, own };
  } finally {
    database.close();
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
