// deadline: 120 s
/** A relay that wants NIP-42 from everybody, for everything: daemon, keys and a client library meet on it. */
import { verifyEvent } from 'nostr-tools';
import { BunkerSigner, parseBunkerInput } from 'nostr-tools/nip46';
import { SimplePool } from 'nostr-tools/pool';
import { finalizeEvent, getPublicKey } from 'nostr-tools/pure';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type AuthScript, authScript } from '../relay/auth-script.ts';
import { FakeRelay } from '../relay/fake-relay.ts';
import { newClientKey } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { rows } from '../support/database.ts';
import { createPolicy, issueToken } from '../support/provision.ts';
import { openAdmin, parseBunkerUrl } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const relays: FakeRelay[] = [];
const daemons: TestDaemon[] = [];

async function start(script: AuthScript): Promise<{ daemon: TestDaemon; relay: FakeRelay }> {
  const relay = await FakeRelay.start(script);
  relays.push(relay);
  const daemon = new TestDaemon({ config: { nostr: { relays: [relay.url] } } });
  daemons.push(daemon);
  await daemon.start();
  return { daemon, relay };
}

test.after(async () => {
  for (const daemon of daemons) await daemon.remove();
  for (const relay of relays) await relay.stop();
});

interface Recorded {
  type: string;
  params: string;
}
const recorded = (daemon: TestDaemon) =>
  rows<Recorded>(daemon, `SELECT type, params FROM Log WHERE type = 'relay auth'`).map(
    ({ params }) => JSON.parse(params) as { key: string; relay: string; event: string; kind: number },
  );

/** nostr-tools as a client on that relay: it authenticates with its own key. */
async function signsOver(daemon: TestDaemon, relay: FakeRelay): Promise<void> {
  const { daemon_pubkey, relay: embedded } = daemon.quickstart;
  const admin = await openAdmin(daemon.adminSecretKey(), daemon_pubkey, embedded);
  const policy = await createPolicy(admin, 'on that relay', [{ method: 'sign_event', kind: 1 }]);
  const { bunker_url } = await issueToken(admin, 'demo', policy);
  admin.close();
  const secretKey = Uint8Array.from(Buffer.from(newClientKey(), 'hex'));
  const pool = new SimplePool();
  pool.automaticallyAuth = () => async (template) => finalizeEvent(template, secretKey);
  const pointer = (await parseBunkerInput(bunker_url))!;
  assert.equal(pointer.relays, [relay.url]);
  // It must have authenticated before its subscription is taken; the library makes that one only once.
  const connection = await pool.ensureRelay(relay.url);
  await until('the client has authenticated', () => authenticatedOn(relay).includes(getPublicKey(secretKey)));
  const signer = BunkerSigner.fromBunker(secretKey, pointer, { pool });
  await signer.connect();
  const event = await signer.signEvent({ kind: 1, content: 'behind a door', tags: [], created_at: 1_700_000_000 });
  assert.ok(verifyEvent(event));
  await signer.close();
  connection.close();
  pool.close([relay.url]);
}

const authenticatedOn = (relay: FakeRelay) => (relay.script as AuthScript).authenticated;

async function isReady(daemon: TestDaemon): Promise<void> {
  await until('the relay is ready', async () => {
    const { relays } = (await (await fetch(daemon.quickstart.health_url)).json()) as { relays: object };
    return Object.values(relays).every((state) => state === 'ready');
  });
}

test("where the daemon's key is enough, no other signs", async () => {
  const script = authScript('anyone');
  const { daemon, relay } = await start(script);
  await isReady(daemon);
  await signsOver(daemon, relay);
  assert.equal([...new Set(script.authenticated)].slice(0, 1), [daemon.quickstart.daemon_pubkey]);
  assert.not.ok(script.authenticated.includes(parseBunkerUrl(daemon.quickstart.bunker_url).pubkey));
  assert.equal(script.refused, []);
  assert.equal(recorded(daemon), []);
});

test('where each key has to, it signs for that relay, and that is on record first', async () => {
  const script = authScript('owner');
  const { daemon, relay } = await start(script);
  await isReady(daemon);
  await signsOver(daemon, relay);
  const key = parseBunkerUrl(daemon.quickstart.bunker_url).pubkey;
  assert.equal(script.authenticated.slice(0, 2), [daemon.quickstart.daemon_pubkey, key]);
  assert.equal(script.refused, []);
  const sent = relay.framesOf('AUTH').map(([, event]) => event as { id: string; pubkey: string });
  const ofKey = sent.filter(({ pubkey }) => pubkey === key);
  assert.equal(
    recorded(daemon).map(({ key, relay, event, kind }) => ({ key, relay, event, kind })),
    ofKey.map(({ id }) => ({ key, relay: relay.url, event: id, kind: 22242 })),
  );
  assert.is(ofKey.length, 1);
});

test('after the relay was lost both sign in again, and clients are served', async () => {
  const [daemon, relay] = [daemons[1]!, relays[1]!];
  const before = authenticatedOn(relay).length;
  relay.dropAll();
  await until('daemon and key are back', () => authenticatedOn(relay).length >= before + 2);
  await isReady(daemon);
  await signsOver(daemon, relay);
});

test.run();
