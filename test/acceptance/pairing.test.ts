/** The code of docs/PAIRING.md, run against the built daemon: a server, a machine's first boot, and `pair` in one call. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Event, type EventTemplate, nip19, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import { TestDaemon } from '../support/daemon.ts';
import { parseBunkerUrl } from '../support/rpc.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const SPIRE = [
  ['sign_event', '21000'],
  ['sign_event', '21001'],
  ['sign_event', '21002'],
  ['sign_event', '21003'],
  ['sign_event', '30078'],
  ['nip44_encrypt', null],
  ['nip44_decrypt', null],
];

interface Bunker {
  call(method: string, ...params: unknown[]): Promise<string>;
  close(): void;
}
interface Server {
  Bunker: { open(connection: string, adminKey: Uint8Array): Promise<Bunker> };
  ensurePolicy(bunker: Bunker): Promise<number>;
  pairMachine(
    bunker: Bunker,
    machine: string,
    passphrase: string,
    relays: string[],
    hours: number,
  ): Promise<{ npub: string; seedUrl: string }>;
  pairInOneCall(bunker: Bunker, options: object): Promise<Paired>;
}
interface Stored {
  clientKey: string;
  bunkerUrl: string;
}
interface Signer {
  getPublicKey(): Promise<string>;
  close(): Promise<void>;
}
interface Machine {
  firstBoot(seedUrl: string): Promise<Stored>;
  openSigner(stored: Stored): Promise<Signer>;
  sign(signer: Signer, template: EventTemplate): Promise<Event>;
}
interface Paired {
  npub: string;
  pubkey: string;
  key: string;
  token_id: number;
  bunker_url: string;
  seed_url: string;
  expires_at: string | null;
}

const daemon = new TestDaemon({ env: { REDOUBT_KEYSTORE_LOG_N: '14' } });
const folder = mkdtempSync(join(tmpdir(), 'redoubt-pairing-'));
const python = spawnSync('python3', ['--version']).status === 0;
let server: Server;
let machine: Machine;
let bunker: Bunker;

test.before(async () => {
  const text = readFileSync(join(root, 'docs/PAIRING.md'), 'utf8');
  for (const [, file, code] of text.matchAll(/^```\w+ file=(\S+)\n(.*?)^```$/gms))
    writeFileSync(join(folder, file!), code!);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  server = await import(join(folder, 'server.ts'));
  machine = await import(join(folder, 'machine.ts'));
  await daemon.start();
  const admin = nip19.decode(daemon.adminSecretKey() as `nsec1${string}`).data;
  bunker = await server.Bunker.open(daemon.quickstart.connection_string, admin);
});
test.after(async () => {
  bunker?.close();
  await daemon.remove();
  rmSync(folder, { recursive: true, force: true });
});

const now = () => Math.floor(Date.now() / 1000);

async function trySign(stored: Stored, kind: number): Promise<Event | string> {
  const signer = await machine.openSigner(stored);
  try {
    return await machine.sign(signer, { kind, content: 'withdraw', tags: [], created_at: now() });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await signer.close();
  }
}

/** The machine signs what it is for, and nothing else. */
async function works(stored: Stored, pubkey: string): Promise<void> {
  const event = await trySign(stored, 21000);
  assert.ok(typeof event !== 'string', String(event));
  assert.ok(verifyEvent(event));
  assert.equal([event.pubkey, event.kind, event.content], [pubkey, 21000, 'withdraw']);
  assert.is(await trySign(stored, 1), 'not authorized');
}

function readSeed(seedUrl: string): { [member: string]: unknown } {
  assert.match(seedUrl, /^spire-seed:v1:[A-Za-z0-9_-]+$/);
  return JSON.parse(Buffer.from(seedUrl.slice(14), 'base64url').toString());
}

async function spirePolicies(): Promise<unknown[]> {
  const policies = JSON.parse(await bunker.call('get_policies')) as {
    name: string;
    rules: { method: string; kind: string | null }[];
  }[];
  return policies
    .filter(({ name }) => name === 'spirekeeper-spire')
    .map(({ rules }) => rules.map(({ method, kind }) => [method, kind]));
}

let paired: { npub: string; seedUrl: string };

test('the server pairs a machine with the five calls', async () => {
  const { relay } = daemon.quickstart;
  paired = await server.pairMachine(bunker, '7', 'a passphrase', [relay], 720);
  assert.equal(await spirePolicies(), [SPIRE]);
  const [token] = JSON.parse(await bunker.call('get_key_tokens', 'spire-7')) as { [column: string]: unknown }[];
  const [npub, secret] = String(token!.token).split('#');
  const pubkey = nip19.decode(npub as `npub1${string}`).data;
  const seed = readSeed(paired.seedUrl);
  assert.equal(seed, {
    spire_npub: npub,
    spire_pubkey: pubkey,
    bunker_url: `bunker://${pubkey}?relay=${encodeURIComponent(relay)}&secret=${secret}`,
    relays: [relay],
  });
  assert.is(paired.npub, npub);
  const days = (Date.parse(String(token!.expires_at)) - Date.now()) / 86_400_000;
  assert.ok(days > 29.9 && days < 30.1);
});

let stored: Stored;
test("the machine's first boot redeems the seed, and from then on it signs, over restarts of the daemon too", async () => {
  stored = await machine.firstBoot(paired.seedUrl);
  const pubkey = nip19.decode(paired.npub as `npub1${string}`).data;
  await works(stored, pubkey);
  const [token] = JSON.parse(await bunker.call('get_key_tokens', 'spire-7')) as { redeemed_at: string | null }[];
  assert.type(token!.redeemed_at, 'string');
  const taken = await machine.firstBoot(paired.seedUrl).then(() => 'redeemed', String);
  assert.match(taken, 'token already redeemed');
});

test('the server completes a policy that lacks rules, and makes none twice', async () => {
  await bunker.call('create_new_policy', JSON.stringify({ name: 'other', rules: [{ method: 'ping' }] }));
  await server.ensurePolicy(bunker);
  assert.equal(await spirePolicies(), [SPIRE], 'nothing was missing');
  const policies = JSON.parse(await bunker.call('get_policies')) as {
    id: number;
    name: string;
    rules: { id: number }[];
  }[];
  const policy = policies.find(({ name }) => name === 'spirekeeper-spire')!;
  await bunker.call('remove_policy_rule', policy.rules[0]!.id);
  assert.is(await trySign(stored, 21000), 'not authorized');
  assert.is(await server.ensurePolicy(bunker), policy.id);
  assert.equal(await spirePolicies(), [[...SPIRE.slice(1), SPIRE[0]]]);
  await works(stored, nip19.decode(paired.npub as `npub1${string}`).data);
});

test('pair does it in one call', async () => {
  const options = { key: 'atm', client_name: 'atm', policy: 'atm-21000', expires_in_hours: 1, passphrase: 'p' };
  const made = await server.pairInOneCall(bunker, options);
  assert.equal(Object.keys(made), ['npub', 'pubkey', 'key', 'token_id', 'bunker_url', 'seed_url', 'expires_at']);
  const { relays } = parseBunkerUrl(made.bunker_url);
  assert.equal(readSeed(made.seed_url), {
    spire_npub: made.npub,
    spire_pubkey: made.pubkey,
    bunker_url: made.bunker_url,
    relays,
  });
  await works(await machine.firstBoot(made.seed_url), made.pubkey);
});

test('a pairing that is refused leaves nothing', async () => {
  const options = { key: 'nothing', client_name: 'c', policy: 'no such policy', passphrase: 'p' };
  const error = await server.pairInOneCall(bunker, options).then(() => '', String);
  assert.match(error, 'no policy named "no such policy"');
  const keys = JSON.parse(await bunker.call('get_keys')) as { name: string }[];
  assert.not(keys.some(({ name }) => name === 'nothing'));
});

test('pairing anew leaves the old machine bound, or revokes it', async () => {
  const pubkey = nip19.decode(paired.npub as `npub1${string}`).data;
  const options = { key: 'spire-7', client_name: 'again', policy: 'spirekeeper-spire' };
  const second = await machine.firstBoot((await server.pairInOneCall(bunker, options)).seed_url);
  await works(second, pubkey);
  await works(stored, pubkey);
  const third = await server.pairInOneCall(bunker, { ...options, revoke_old: true });
  assert.is(await trySign(stored, 21000), 'revoked');
  assert.is(await trySign(second, 21000), 'revoked');
  await works(await machine.firstBoot(third.seed_url), pubkey);
});

test('redoubt pair does the same from a terminal, and key unlock --all the sweep', async () => {
  const passphrase = join(folder, 'passphrase');
  writeFileSync(passphrase, 'of the terminal\n', { mode: 0o600 });
  const data = ['--data', daemon.data];
  const given = [
    'pair',
    'cli',
    '--expires',
    '30d',
    '--relay',
    daemon.quickstart.relay,
    '--passphrase-file',
    passphrase,
  ];
  const ran = await runCli([...given, ...data, '--json']);
  assert.is(ran.code, 0, ran.stderr);
  const made = JSON.parse(ran.stdout) as Paired;
  const old = await machine.firstBoot(made.seed_url);
  await works(old, made.pubkey);
  const drawn = await runCli(['pair', 'cli', '--revoke-old', '--qr', '--policy', 'atm-21000', ...data]);
  assert.is(drawn.code, 0, drawn.stderr);
  assert.match(drawn.stdout, /without end:\nbunker:\/\/\S+\nspire-seed:v1:\S+\n[ ▀▄█\n]+$/);
  assert.is(await trySign(old, 21000), 'revoked');

  assert.is(await daemon.stop(), 0);
  await daemon.start();
  const all = await runCli(['key', 'unlock', '--all', '--passphrase-file', passphrase, ...data, '--json']);
  const { success, total, failed } = JSON.parse(all.stdout);
  assert.equal([all.code, success, total, failed.length], [1, 2, 4, 2], 'this key and the demonstration');
  assert.ok(failed.every(({ error }: { error: string }) => error === 'wrong passphrase'));
  const keys = JSON.parse((await runCli(['key', 'list', ...data, '--json'])).stdout) as {
    name: string;
    locked: boolean;
  }[];
  assert.is(keys.find(({ name }) => name === 'cli')?.locked, false);
  const admin = nip19.decode(daemon.adminSecretKey() as `nsec1${string}`).data;
  bunker = await server.Bunker.open(daemon.quickstart.connection_string, admin);
});

if (python) {
  test("the server's calls in Python", async () => {
    const driver = `
import json, sys
from server import pair_machine
def call(method, *params):
    print(json.dumps({"call": [method, *params]}), flush=True)
    return json.loads(sys.stdin.readline())
print(json.dumps({"seed": pair_machine(call, "9", "a passphrase", lambda npub: call("hex", npub), json.loads(sys.argv[1]), 720)}), flush=True)
`;
    const args = ['-B', '-c', driver, JSON.stringify([daemon.quickstart.relay])];
    const child = spawn('python3', args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
    let seedUrl = '';
    for await (const line of createInterface({ input: child.stdout })) {
      const said = JSON.parse(line) as { call?: [string, ...unknown[]]; seed?: string };
      seedUrl = said.seed ?? '';
      if (said.call === undefined) continue;
      const [method, ...params] = said.call;
      const result = method === 'hex' ? nip19.decode(String(params[0])).data : await bunker.call(method, ...params);
      child.stdin.write(`${JSON.stringify(result)}\n`);
    }
    const seed = readSeed(seedUrl);
    await works(await machine.firstBoot(seedUrl), String(seed.spire_pubkey));
    assert.equal(await spirePolicies(), [[...SPIRE.slice(1), SPIRE[0]]]);
  });
}

test.run();
