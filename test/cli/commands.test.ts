import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nip19 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { connectionString } from '../../src/admin/connection-string.ts';
import { makeStage, type Stage } from '../admin/stage.ts';
import { type FakeRelay, startRelay } from './fake-relay.ts';
import { type Ran, runMain } from './run.ts';

const PROGRAM = new URL('../../src/main.ts', import.meta.url).pathname;
let stage: Stage;
let relay: FakeRelay;
let data: string;

test.before.each(async () => {
  stage = await makeStage();
  relay = await startRelay(stage);
  data = mkdtempSync(join(tmpdir(), 'redoubt-cli-'));
  const nsec = join(data, 'admin.nsec');
  writeFileSync(nsec, `${nip19.nsecEncode(stage.admin)}\n`);
  writeFileSync(
    join(data, 'quickstart.json'),
    JSON.stringify({ daemon_pubkey: stage.daemon, relay: relay.url, admin_nsec_file: nsec }),
  );
});
test.after.each(async () => {
  await relay.close();
  await stage.end();
  rmSync(data, { recursive: true });
});

/** Runs a command on the installation of this test. */
const run = (...args: string[]) => runMain([...args, '--data', data]);

/** Runs a command as a process of its own. */
function runProcess(args: string[], input: string): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [PROGRAM, ...args], { env: { REDOUBT_DATA: data } });
    const ran = { code: -1, out: '', err: '' };
    child.stdout.on('data', (chunk) => {
      ran.out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      ran.err += chunk;
    });
    child.on('close', (code) => resolve({ ...ran, code: code ?? -1 }));
    child.stdin.end(input);
  });
}

async function json(...args: string[]): Promise<unknown> {
  const { code, out, err } = await run(...args, '--json');
  assert.equal([code, err], [0, '']);
  return JSON.parse(out);
}

function file(name: string, content: string): string {
  const path = join(data, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

test('keys: create, import, list, unlock, lock', async () => {
  const passphrase = file('pass', 'a passphrase\n');
  const made = (await json('key', 'create', 'one', '--passphrase-file', passphrase)) as {
    npub: string;
    pubkey: string;
  };
  assert.is(made.npub, nip19.npubEncode(stage.records.keys[0]!.pubkey));
  assert.equal(Object.keys(made), ['name', 'npub', 'pubkey']);
  await json('key', 'import', 'two', '--from', file('key', 'nsec1abc\n'), '--passphrase-file', passphrase);
  const own = file('own', 'its own');
  const sealed = file('sealed', 'ncryptsec1abc');
  await json('key', 'import', 'three', '--from', sealed, '--passphrase-file', passphrase, '--key-passphrase-file', own);
  assert.equal(stage.main.got, [
    { name: 'one', passphrase: 'a passphrase' },
    { name: 'two', passphrase: 'a passphrase', imported: 'nsec1abc' },
    { name: 'three', passphrase: 'a passphrase', imported: 'ncryptsec1abc', importPassphrase: 'its own' },
  ]);

  assert.equal(await json('key', 'lock', 'two'), { name: 'two', locked: true });
  const keys = (await json('key', 'list')) as { name: string; locked: boolean; npub: string }[];
  assert.equal(Object.keys(keys[0]!), ['name', 'npub', 'pubkey', 'locked', 'active', 'createdAt']);
  assert.equal(
    keys.map((key) => [key.name, key.locked]),
    [
      ['one', false],
      ['two', true],
      ['three', false],
    ],
  );
  assert.ok(keys[1]!.npub.startsWith('npub1'), 'of a locked key too');
  assert.match(
    (await run('key', 'list')).out,
    /^NAME +NPUB +STATE +CREATED\none +npub1\w+ +active +2023-11-14T22:13:20.000Z\ntwo +npub1\w+ +locked/,
  );

  const right = file('right', 'correct horse');
  assert.equal(await json('key', 'unlock', 'one', 'two', '--passphrase-file', right), {
    success: 2,
    total: 2,
    failed: [],
  });
  await json('key', 'lock', 'two');
  const failed = await run('key', 'unlock', 'one', 'two', 'nobody', '--passphrase-file', passphrase, '--json');
  assert.is(failed.code, 1);
  assert.equal(JSON.parse(failed.out), {
    success: 1,
    total: 3,
    failed: [
      { key: 'two', error: 'wrong passphrase' },
      { key: 'nobody', error: 'no key named "nobody": get_keys lists them' },
    ],
  });
});

test('policies and tokens: create, list, revoke', async () => {
  const key = stage.records.addKey('k');
  assert.equal(await json('policy', 'create', 'p', '--rule', 'sign_event:1=5', '--rule', 'nip44_encrypt'), {
    id: 1,
    name: 'p',
  });
  assert.is((await run('policy', 'create', 'p', '--rule', 'ping')).err, 'redoubt: a policy named "p" exists already\n');
  const [policy] = (await json('policy', 'list')) as { rules: unknown[] }[];
  assert.is(policy!.rules.length, 2);
  assert.is(
    (await run('policy', 'list')).out,
    'ID  NAME  RULES                           EXPIRES\n1   p     sign_event:1=0/5 nip44_encrypt  -\n',
  );

  const made = (await json('token', 'create', 'k', '--policy', 'p', '--client', 'phone', '--expires', '30d')) as Record<
    string,
    unknown
  >;
  assert.equal(Object.keys(made), ['id', 'token', 'bunker_url', 'expires_at']);
  assert.ok((made.bunker_url as string).startsWith(`bunker://${key.pubkey}?relay=`));
  assert.is(Date.parse(made.expires_at as string) - stage.clock.now(), 30 * 86_400_000);
  assert.is(stage.records.tokens[0]!.clientName, 'phone');
  const plain = await run('token', 'create', 'k', '--policy', 'p');
  assert.match(plain.out, /^token 2, good for one client, without end:\nbunker:\/\/\S+\n$/);
  assert.equal(await json('token', 'revoke', '2'), { id: 2, revoked: true });
  assert.equal(
    ((await json('token', 'list', 'k')) as { id: number }[]).map((token) => token.id),
    [1],
  );
  assert.match((await run('token', 'list', 'k')).out, /\n1 +phone +p +unredeemed +20/);
});

test('status', async () => {
  assert.is(((await json('status')) as { schemaVersion: number }).schemaVersion, 3);
  assert.match((await run('status')).out, /keys +1: 1 unlocked \(1 active\), 0 locked\n/);
});

test('what fails says so on standard error alone, with its exit code', async () => {
  const cases: [number, RegExp, string[]][] = [
    [1, /^redoubt: no key named "x": get_keys lists them\n$/, ['token', 'list', 'x', '--json']],
    [1, /^redoubt: no policy named "x"/, ['token', 'create', 'k', '--policy', 'x']],
    [1, /^redoubt: .*none does not exist: create it/, ['key', 'create', 'n', '--passphrase-file', join(data, 'none')]],
    [2, /^redoubt: a duration is/, ['token', 'create', 'k', '--policy', 'p', '--expires', 'soon']],
    [2, /^redoubt: a policy needs at least one --rule/, ['policy', 'create', 'p']],
    [2, /^redoubt: --rule "x" names no method/, ['policy', 'create', 'p', '--rule', 'x']],
    [2, /^redoubt: a token is revoked by its number/, ['token', 'revoke', 'x']],
    [2, /^error: missing required argument 'name'/, ['key', 'create']],
    [2, /^error: required option '--policy <name>' not specified/, ['token', 'create', 'k']],
    [2, /^error: unknown option '--passphrase'/, ['key', 'create', 'n', '--passphrase', 'secret']],
    [2, /^error: unknown command 'frob'/, ['frob']],
  ];
  for (const [code, message, args] of cases) {
    const ran = await run(...args);
    assert.is(ran.code, code, args.join(' '));
    assert.match(ran.err, message);
    assert.is(ran.out, '');
  }
  assert.equal(stage.main.got, []);
});

test('installations that cannot be used are named', async () => {
  const of = async (...args: string[]) => {
    const ran = await run('status', ...args);
    assert.is(ran.code, 78);
    return ran.err;
  };
  assert.match(await of('--admin-key-file', join(data, 'none')), /the admin key file .*none does not exist/);
  assert.match(await of('--admin-key-file', file('bad', 'npub1x')), /holds neither an nsec nor 64 hex digits/);
  assert.match(await of('--admin-key-file', file('zero', '0'.repeat(64))), /holds no valid private key/);
  file('quickstart.json', '{');
  assert.match(await of(), /quickstart.json is damaged/);
  rmSync(join(data, 'quickstart.json'));
  assert.match(await of(), /no daemon was ever started on .*: start one with "redoubt start"/);
  file('connection.txt', connectionString(stage.daemon, [relay.url]));
  assert.is((await run('status')).code, 0, 'connection.txt and admin.nsec will do');
  rmSync(join(data, 'admin.nsec'));
  assert.match(await of(), /no admin key: give --admin-key-file FILE/);
  const key = file('key', Buffer.from(stage.admin).toString('hex'));
  assert.is((await run('status', '--admin-key-file', key)).code, 0);
});

test('a passphrase comes through standard input too, and an import cannot take both from there', async () => {
  const made = await runProcess(['key', 'create', 'piped', '--json'], 'from a pipe \u00fc\n');
  assert.equal([made.code, made.err], [0, '']);
  assert.is(JSON.parse(made.out).name, 'piped');
  assert.equal(stage.main.got, [{ name: 'piped', passphrase: 'from a pipe \u00fc' }]);
  const both = await runProcess(['key', 'import', 'two', '--from', '-'], 'nsec1abc\n');
  assert.equal([both.code, both.out], [2, '']);
  assert.is(both.err, 'redoubt: standard input was read already: give the passphrase with --passphrase-file FILE\n');
  const empty = await runProcess(['key', 'create', 'none'], '');
  assert.is(empty.code, 1);
  assert.match(empty.err, /^redoubt: the passphrase on standard input is empty/);
});

test('every command has --help', async () => {
  for (const command of [
    '',
    'start',
    'status',
    'key',
    'key create',
    'key import',
    'key list',
    'key unlock',
    'key lock',
    'policy list',
    'policy create',
    'token create',
    'token list',
    'token revoke',
    'audit verify',
  ]) {
    const ran = await run(...command.split(' ').filter(Boolean), '--help');
    assert.is(ran.code, 0, command);
    assert.ok(ran.out.startsWith(`Usage: redoubt ${command}`.trimEnd()), ran.out);
  }
});

test.run();
