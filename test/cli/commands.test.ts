import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nip19 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { connectionString } from '../../src/admin/connection-string.ts';
import type { Stage } from '../admin/stage.ts';
import type { FakeRelay } from './fake-relay.ts';
import { type Installed, install } from './installed.ts';
import { type Ran, runMain } from './run.ts';

const PROGRAM = new URL('../../src/main.ts', import.meta.url).pathname;
let installed: Installed;
let stage: Stage;
let relay: FakeRelay;
let data: string;

test.before.each(async () => {
  installed = await install();
  ({ stage, relay, data } = installed);
});
test.after.each(() => installed.remove());

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
      { key: 'nobody', error: 'no key named "nobody": "redoubt key list" lists them' },
    ],
  });
});

test('an ncryptsec in capitals, or with space before it, has its own passphrase taken along', async () => {
  const known = stage.main.got.length;
  const secrets = ['--passphrase-file', file('pass', 'a passphrase'), '--key-passphrase-file', file('own', 'its own')];
  for (const text of ['NCRYPTSEC1ABC', '\t ncryptsec1abc']) {
    await json('key', 'import', `k${text.length}`, '--from', file('sealed', text), ...secrets);
  }
  const got = stage.main.got.splice(known) as { importPassphrase?: string }[];
  assert.equal(
    got.map(({ importPassphrase }) => importPassphrase),
    ['its own', 'its own'],
  );
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
    [
      'ID  NAME  RULE  GRANTS            EXPIRES',
      '1   p     10    sign_event:1=0/5  -',
      '          11    nip44_encrypt',
      '',
    ].join('\n'),
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
  const drawn = await run('token', 'create', 'k', '--policy', 'p', '--qr');
  assert.match(drawn.out, /^token 3, good for one client, without end:\nbunker:\/\/\S+\n[ \u2580\u2584\u2588\n]+$/);
  assert.equal(await json('token', 'revoke', '3'), { id: 3, revoked: true });
  assert.equal(await json('token', 'revoke', '2'), { id: 2, revoked: true });
  assert.equal(
    ((await json('token', 'list', 'k')) as { id: number }[]).map((token) => token.id),
    [1],
  );
  assert.match((await run('token', 'list', 'k')).out, /\n1 +phone +p +unredeemed +20/);
});

test('policies change: by name, or by number where names are shared', async () => {
  await json('policy', 'create', 'p', '--rule', 'sign_event:1');
  const changed = (await json('policy', 'add-rule', 'p', 'sign_event:7=3')) as { id: number; rules: { id: number }[] };
  assert.is(changed.id, 1);
  assert.equal(
    stage.records.policies[0]!.rules.map(({ kind, maxUsageCount }) => [kind, maxUsageCount]),
    [
      ['1', null],
      ['7', 3],
    ],
  );
  assert.is(
    (await run('policy', 'add-rule', '1', 'nip44_encrypt')).out,
    'policy 1: p  sign_event:1 sign_event:7=0/3 nip44_encrypt\n',
  );
  const { id } = changed.rules[1]!;
  assert.equal(await json('policy', 'remove-rule', String(id)), { id, removed: true });
  assert.is(stage.records.policies[0]!.rules.length, 2);
  stage.records.policies.push({ ...stage.records.policies[0]!, id: 5, rules: [] });
  assert.is(
    (await run('policy', 'delete', 'p')).err,
    'redoubt: 2 policies are named "p": give the number of one (1, 5)\n',
  );
  assert.equal(await json('policy', 'delete', '5'), { id: 5, name: 'p', deleted: true });
  assert.equal(await json('policy', 'delete', 'p'), { id: 1, name: 'p', deleted: true });
  assert.is((await run('policy', 'delete', 'p')).err, 'redoubt: no policy named "p": see "redoubt policy list"\n');
});

test('lists that no answer has room for are shown whole', async () => {
  const count = 1100;
  for (let i = 0; i < count; i++) stage.main.unlocked.add(stage.records.addKey(`key ${i}`).name);
  const keys = (await json('key', 'list')) as { name: string; active: boolean }[];
  assert.equal(
    keys.map(({ name }) => name),
    stage.records.keys.map(({ name }) => name),
  );
  assert.ok(keys.every(({ active }) => active));
  // Few rows, and long ones: the last alone does not fit with the numbers of its rules, and is shown without.
  const row = { description: null, createdAt: 0, updatedAt: 0, expiresAt: null };
  const limits = { maxUsageCount: null, currentUsageCount: 0, maxUsagePerToken: null, expiresAt: null };
  for (let id = 1; id <= 20; id++) {
    const rules = Array.from({ length: id === 20 ? 450 : 100 }, (_, i) => {
      return { id: 100 * id + i, method: 'sign_event', kind: `${i}`, ...limits };
    });
    stage.records.policies.push({ id, name: `policy ${id}`, ...row, rules });
  }
  const policies = (await json('policy', 'list')) as { rules: { id?: number }[] }[];
  assert.equal(
    policies.map(({ rules }) => [rules.length, rules[0]!.id]),
    [...Array.from({ length: 19 }, (_, i) => [100, 100 * (i + 1)]), [450, undefined]],
  );
});

test('clients: list, rename, revoke', async () => {
  stage.records.addKey('k');
  const user = stage.records.addUser('k');
  user.description = 'phone';
  assert.equal(await json('user', 'list', 'k'), [
    {
      id: 1,
      name: 'k',
      pubkey: user.pubkey,
      description: 'phone',
      createdAt: '2023-11-14T22:13:20.000Z',
      lastUsedAt: null,
      revokedAt: null,
      signingConditions: [],
    },
  ]);
  assert.is(
    (await run('user', 'list', 'k')).out.replaceAll(/ +/g, ' '),
    `ID NAME PUBKEY STATE LAST USED\n1 phone ${user.pubkey} bound -\n`,
  );
  assert.equal(await json('user', 'rename', user.pubkey, 'till'), { pubkey: user.pubkey, name: 'till' });
  await json('user', 'rename', user.pubkey, 'till', '--key', 'k');
  assert.equal(stage.records.asked, [
    ['renameUser', { pubkey: user.pubkey, name: 'till', keyName: null }],
    ['renameUser', { pubkey: user.pubkey, name: 'till', keyName: 'k' }],
  ]);
  assert.equal(await json('user', 'revoke', '1'), { id: 1, revoked: true });
  assert.match((await run('user', 'list', 'k')).out, / revoked /);
});

test('key delete', async () => {
  stage.records.addKey('k');
  assert.equal(await json('key', 'delete', 'k'), { name: 'k', deleted: true });
  assert.equal(await json('key', 'list'), []);
});

test('audit list: what is asked for, and what people see', async () => {
  const client = 'ab'.repeat(32);
  const row = { timestamp: 1_700_000_000_000, keyUserId: null, hash: null };
  const params = JSON.stringify({ keyName: 'k', client, kind: 1, grant: 'rule:3' });
  const done = JSON.stringify({ phase: 'end', admin: 'cd'.repeat(32), target: 'user 5', outcome: 'ok' });
  stage.records.audit = [
    { ...row, id: 9, type: 'admin', method: 'revoke_user', params: done },
    { ...row, id: 8, type: 'request', method: 'sign_event', params },
    { ...row, id: 1, type: 'old', method: null, params: 'text' },
  ];
  const before = Date.now();
  const listed = await json('audit', 'list', '--key', 'k', '--client', client, '--since', '2h', '--limit', '7');
  assert.equal(
    (listed as { id: number }[]).map(({ id }) => id),
    [9, 8, 1],
  );
  const [, asked] = stage.records.asked[0] as [string, { since: number }];
  assert.equal({ ...asked, since: 0 }, { key: 'k', client, since: 0, offset: 0, limit: 7 });
  assert.ok(asked.since >= before - 7_200_000 && asked.since <= Date.now() - 7_200_000);
  assert.is(
    (await run('audit', 'list')).out.replaceAll(/ +/g, ' '),
    [
      'ROW TIME TYPE METHOD KEY WHO WHAT',
      '9 2023-11-14T22:13:20.000Z admin revoke_user - cdcdcdcdcdcdcdcd user 5, ok',
      '8 2023-11-14T22:13:20.000Z request sign_event k abababababababab kind 1, rule:3',
      '1 2023-11-14T22:13:20.000Z old - - - -',
      '',
    ].join('\n'),
  );
});

test('status', async () => {
  assert.is(((await json('status')) as { schemaVersion: number }).schemaVersion, 3);
  assert.match((await run('status')).out, /keys +1: 1 unlocked \(1 active\), 0 locked\n/);
});

test('what fails says so on standard error alone, with its exit code', async () => {
  const cases: [number, RegExp, string[]][] = [
    [1, /^redoubt: no key named "x": "redoubt key list" lists them\n$/, ['token', 'list', 'x', '--json']],
    [1, /^redoubt: no policy named "x"/, ['token', 'create', 'k', '--policy', 'x']],
    [2, /^redoubt: --passphrase-file names no file: give/, ['key', 'create', 'n', '--passphrase-file', '']],
    [1, /^redoubt: .*none does not exist: create it/, ['key', 'create', 'n', '--passphrase-file', join(data, 'none')]],
    [2, /^redoubt: --expires: a duration is/, ['token', 'create', 'k', '--policy', 'p', '--expires', 'soon']],
    [2, /^redoubt: a policy needs at least one --rule/, ['policy', 'create', 'p']],
    [2, /^redoubt: --rule "x" names no method/, ['policy', 'create', 'p', '--rule', 'x']],
    [2, /^redoubt: a token is revoked by its number/, ['token', 'revoke', 'x']],
    [2, /^redoubt: a client is revoked by its number: see "redoubt user list"/, ['user', 'revoke', '0']],
    [2, /^redoubt: a rule is removed by its number/, ['policy', 'remove-rule', 'x']],
    [2, /^redoubt: the rule "x" names no method/, ['policy', 'add-rule', 'p', 'x']],
    [2, /^redoubt: the new name is empty/, ['user', 'rename', 'ab'.repeat(32), ' ']],
    [2, /^redoubt: --since is a date/, ['audit', 'list', '--since', 'yesterday']],
    [2, /^redoubt: --limit is a number/, ['audit', 'list', '--limit', '0']],
    [1, /^redoubt: Invalid params: pubkey must be a public key/, ['user', 'rename', 'npub1x', 'n']],
    [1, /^redoubt: no key named "x"/, ['user', 'list', 'x']],
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
  file('connection.txt', 'bunker://');
  assert.match(await of(), /connection.txt is damaged/);
  rmSync(join(data, 'connection.txt'));
  assert.match(await of(), /no daemon was ever started on .*: start one with "redoubt start"/);
  file('connection.txt', connectionString(stage.daemon, [relay.url]));
  rmSync(join(data, 'admin.nsec'));
  assert.match(await of(), /no admin key: give --admin-key-file FILE/);
  const key = file('key', Buffer.from(stage.admin).toString('hex'));
  assert.is((await run('status', '--admin-key-file', key)).code, 0);
});

test('the relays of the last start, not those of a quickstart before it', async () => {
  const stale = { daemon_pubkey: stage.daemon, relay: 'ws://127.0.0.1:1', admin_nsec_file: join(data, 'admin.nsec') };
  file('quickstart.json', JSON.stringify(stale));
  const { code, err } = await run('status');
  assert.equal([code, err], [0, '']);
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
    'audit list',
    'audit export',
    'user list',
    'user rename',
    'user revoke',
    'policy add-rule',
    'policy remove-rule',
    'policy delete',
    'key delete',
  ]) {
    const ran = await run(...command.split(' ').filter(Boolean), '--help');
    assert.is(ran.code, 0, command);
    assert.ok(ran.out.startsWith(`Usage: redoubt ${command}`.trimEnd()), ran.out);
  }
});

test('key unlock --all: every key, and those that stay locked are named', async () => {
  for (const name of ['a', 'own']) stage.records.addKey(name);
  stage.main.passphrases.set('own', 'another');
  const right = file('right', 'correct horse');
  const ran = await run('key', 'unlock', '--all', '--passphrase-file', right, '--json');
  assert.is(ran.code, 1);
  assert.equal(JSON.parse(ran.out), { success: 1, total: 2, failed: [{ key: 'own', error: 'wrong passphrase' }] });
  assert.is(
    (await run('key', 'unlock', '--all', '--passphrase-file', right)).out,
    '1 of 2 unlocked\nown: wrong passphrase\n',
  );
  for (const args of [[], ['a', '--all']]) {
    const { code, err } = await run('key', 'unlock', ...args, '--passphrase-file', right);
    assert.equal([code, err], [2, 'redoubt: give the names of the keys to unlock, or --all\n']);
  }
});

test.run();
