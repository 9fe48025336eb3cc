/** Each error that a wrong configuration produces, with its exit code, as docs/CONFIGURATION.md lists them. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runMain } from '../cli/run.ts';
import { Rig } from '../policy/rig.ts';
import { runCli } from '../support/cli.ts';

const page = readFileSync(new URL('../../docs/CONFIGURATION.md', import.meta.url), 'utf8');
const [, section = ''] = page.split('\n## Errors\n');
/** Text and exit code of the table's rows. */
const documented = section
  .split('\n## ')[0]!
  .split('\n')
  .map((line) => /^\| `(.+)` \| (\d+) \|$/.exec(line))
  .filter((row) => row !== null)
  .map(([, text, code]) => ({ text: text!, code: Number(code) }));

const KEY = '1'.repeat(64);
const folder = mkdtempSync(join(tmpdir(), 'redoubt-refusals-'));
const path = join(folder, 'nsecbunker.json');
test.after(() => rmSync(folder, { recursive: true }));

type Case = { file?: unknown; env?: { [name: string]: string }; prepare?: () => void };
const redoubt = (redoubt: unknown): Case => ({ file: { admin: { key: KEY }, redoubt } });
const env = (name: string, value: string): Case => ({ env: { [name]: value } });
const good = { admin: { key: KEY }, nostr: { relays: ['wss://relay.example'] } };

/** How each text comes about, by `redoubt config check`. Words in capitals stand for what differs. */
const cases: { [text: string]: Case } = {
  'FILE: there is no such configuration file: name one with --config, or try "redoubt start --quickstart"': {
    prepare: () => rmSync(path, { recursive: true, force: true }),
  },
  'FILE: the configuration file cannot be read (CODE): see to its owner and mode': {
    prepare: () => symlinkSync(path, path),
  },
  'FILE: is not a regular file: name the configuration file with --config': { prepare: () => mkdirSync(path) },
  'FILE: is larger than 67108864 bytes: this is no configuration file': {
    prepare: () => {
      writeFileSync(path, '');
      truncateSync(path, 67_108_865);
    },
  },
  'FILE: is not JSON: see to its commas, quotes and brackets': { prepare: () => writeFileSync(path, '{,}') },
  "FILE: admin is missing: it holds the daemon's own key": { file: {} },
  "FILE: admin.key is missing or not text: it is the daemon's own key, in hex": { file: { admin: { key: 7 } } },
  'FILE: admin.key is neither 64 hex digits nor an nsec': { file: { admin: { key: 'ff' } } },
  'FILE: admin.key is not a private key: it must be 64 hex digits of one, or an nsec': {
    file: { ...good, admin: { key: 'f'.repeat(64) } },
  },
  'FILE: PROPERTY must be TYPE': { file: { admin: { key: KEY, npubs: 'npub1' } } },
  'FILE: admin.npubs[N] is not an npub': { file: { admin: { key: KEY, npubs: ['npub1x'] } } },
  'FILE: PROPERTY[N] must be a relay URL that starts with wss:// or ws://': {
    file: { admin: { key: KEY }, nostr: { relays: ['https://relay.example'] } },
  },
  'OPTION: expected TYPE, received TYPE': redoubt({ limits: { clientRate: 'fast' } }),
  'OPTION: expected number to be LIMIT': redoubt({ keystore: { logN: 13 } }),
  'OPTION: expected one of WORDS': env('REDOUBT_CURVE', 'fast'),
  'OPTION: expected HOST:PORT, for example 127.0.0.1:4736 or [::1]:4736': env('REDOUBT_HTTP_LISTEN', '4737'),
  'OPTION entry N: expected a host name or an address, without a port and without brackets': env(
    'REDOUBT_HTTP_HOSTS',
    'proxy.example:443',
  ),
  'OPTION entry N: expected a relay URL, wss://host or ws://host:port, without a user name or a fragment': env(
    'REDOUBT_RELAYS',
    'wss://user:hunter2@relay.example',
  ),
  'OPTION entry N: expected a public key, npub1... or 64 hex digits': env('ADMIN_NPUBS', 'somebody'),
  'OPTION entry N: this is a private key: give the public one, npub1...': env('ADMIN_NPUBS', `nsec1${'q'.repeat(58)}`),
  'OPTION entry N: expected MODULE=LEVEL with one of main, relays, key, policy, admin, vault and debug, info, warn or error':
    env('REDOUBT_LOG_LEVELS', 'relay=loud'),
  'OPTION: expected 16 characters at least': env('REDOUBT_API_KEY', 'hunter2'),
  'OPTION: is empty: give file:/path/to/nsecbunker.db or a path': {
    file: { ...good, database: '' },
  },
  'OPTION: begins with SCHEME:, which is not understood: give file:/path/to/nsecbunker.db or a path': env(
    'DATABASE_URL',
    'postgres://user:hunter2@host/db',
  ),
  'OPTION: names no file: give SCHEME:/path/to/nsecbunker.db': env('DATABASE_URL', 'file:'),
  'there is no relay: name one under nostr.relays or in REDOUBT_RELAYS, or enable the embedded relay': {
    file: { admin: { key: KEY } },
  },
};

const passphrase = join(folder, 'passphrase');
const OWN = { REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE: passphrase };
/** A passphrase file with this in it, or something else in its place. */
function passphraseFile(content: string | Uint8Array | (() => void), env = {}): Case {
  return {
    prepare: () => {
      writeFileSync(path, JSON.stringify(good), { mode: 0o600 });
      rmSync(passphrase, { recursive: true, force: true });
      if (typeof content === 'function') content();
      else writeFileSync(passphrase, content, { mode: 0o600 });
    },
    env: Object.keys(env).length > 0 ? env : { NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: passphrase },
  };
}
const passphrases = (content: unknown) => passphraseFile(JSON.stringify(content), OWN);
Object.assign(cases, {
  'VARIABLE: passphrase file FILE does not exist: create it, or give another path': passphraseFile(() => {}),
  'VARIABLE: passphrase file FILE cannot be read (CODE): see to its owner and mode': passphraseFile(() =>
    symlinkSync(passphrase, passphrase),
  ),
  'VARIABLE: passphrase file FILE is not a regular file: give the path of one': passphraseFile(() =>
    mkdirSync(passphrase),
  ),
  'VARIABLE: passphrase file FILE is larger than 4096 bytes: it must have nothing else in it': passphraseFile(
    'hunter2'.repeat(600),
  ),
  'VARIABLE: passphrase file FILE is empty: write the passphrase into it': passphraseFile('\n'),
  'VARIABLE: passphrase file FILE is not UTF-8 text: save it as UTF-8': passphraseFile(Uint8Array.of(0xff)),
  'VARIABLE: passphrases file FILE is not JSON: see to its commas, quotes and brackets': passphraseFile(
    '{"alice": hunter2}',
    OWN,
  ),
  'VARIABLE: passphrases file FILE must hold one object {"name of the key": "its passphrase"}': passphrases([
    'hunter2',
  ]),
  'VARIABLE: passphrases file FILE names no key: write {"name of the key": "its passphrase"}': passphrases({}),
  'VARIABLE: passphrases file FILE has no passphrase in quotes in its entry N': passphrases({ hunter2: 1 }),
  'VARIABLE: passphrases file FILE has an empty passphrase in its entry N: write it there': passphrases({
    hunter2: '',
  }),
  'VARIABLE: passphrases file FILE has a passphrase of more than 4096 bytes in its entry N': passphrases({
    alice: 'hunter2'.repeat(600),
  }),
} satisfies typeof cases);

/** Errors of `redoubt start` itself. */
const starts: { [text: string]: () => Promise<{ code: number | null; stderr: string }> } = {
  '--data and --config both name an installation: give one of them': () =>
    runCli(['start', '--data', folder, '--config', path]),
  'REDOUBT_DATA and REDOUBT_CONFIG both name an installation: give one of them': () =>
    runCli(['start'], { env: { REDOUBT_DATA: folder, REDOUBT_CONFIG: path } }),
  'an empty path names no installation: give a folder or a file': () => runCli(['start', '--data', '']),
  '--data takes a folder: use --config for FILE': () => runCli(['start', '--data', path]),
  'the quickstart does not run beside a configuration (WHAT): use `redoubt start`, or another folder': () =>
    runCli(['start', '--quickstart', '--config', path]),
  'NSECBUNKER_AUTOUNLOCK_PASSPHRASE and NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE are both set: the configuration is ambiguous, set one of them':
    () =>
      startOn({
        NSECBUNKER_AUTOUNLOCK_PASSPHRASE: 'hunter2',
        NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: join(folder, 'none'),
      }),
  'NSECBUNKER_AUTOUNLOCK_PASSPHRASE is longer than 4096 bytes: give a shorter one': () =>
    startOn({ NSECBUNKER_AUTOUNLOCK_PASSPHRASE: 'hunter2'.repeat(600) }),
  'the embedded relay cannot listen on HOST:PORT (CODE): choose another address with embeddedRelay.listen (REDOUBT_RELAY_LISTEN)':
    () => startOn({ REDOUBT_HTTP_LISTEN: '127.0.0.1:0' }, 'REDOUBT_RELAY_LISTEN'),
  'health and metrics cannot listen on HOST:PORT (CODE): choose another address with http.listen (REDOUBT_HTTP_LISTEN), or set http.enabled to false':
    () => startOn({ REDOUBT_RELAY_LISTEN: '127.0.0.1:0' }, 'REDOUBT_HTTP_LISTEN'),
  "NPUB is an admin's or the daemon's, and key NAME too, whose clients could administrate: change admin.npubs or admin.key":
    startWithAdminsKey,
  'the folder FOLDER for the database does not exist: create it, or correct the option database (DATABASE_URL)': () =>
    startOn({ DATABASE_URL: `file:${join(folder, 'none', 'x.db')}`, REDOUBT_HTTP_LISTEN: '127.0.0.1:0' }),
};

/** Starts a daemon one of whose keys is an admin's. */
async function startWithAdminsKey() {
  const rig = await Rig.open();
  await rig.makeKey();
  const [key] = await rig.admin.ask('listKeys', null);
  await rig.stop();
  try {
    const env = { DATABASE_URL: `file:${rig.path}`, ADMIN_NPUBS: key!.pubkey };
    return await startOn({ ...env, REDOUBT_RELAY_LISTEN: '127.0.0.1:0', REDOUBT_HTTP_LISTEN: '127.0.0.1:0' });
  } finally {
    rmSync(rig.folder, { recursive: true });
  }
}

/** Starts a daemon with a port in the way. */
async function startOn(env: { [name: string]: string }, taken?: string) {
  prepare({ file: good });
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const common = {
    REDOUBT_EMBEDDED_RELAY_ENABLED: 'true',
    REDOUBT_RELAYS: 'ws://127.0.0.1:1',
    REDOUBT_LOG_LEVEL: 'error',
  };
  try {
    return await runCli(['start', '--config', path], {
      env: { ...common, ...env, ...(taken === undefined ? {} : { [taken]: `127.0.0.1:${port}` }) },
    });
  } finally {
    server.close();
  }
}

function prepare({ file, prepare }: Case): void {
  rmSync(path, { recursive: true, force: true });
  if (prepare !== undefined) prepare();
  else writeFileSync(path, JSON.stringify(file ?? good), { mode: 0o600 });
}

/** Words in capitals stand for anything, but for those that the messages themselves have. */
const LITERAL = new Set(['JSON', 'MODULE', 'LEVEL', 'UTF']);
function pattern(text: string): RegExp {
  const source = text.split(/\b([A-Z]+)\b/).map((part, i) => {
    const isOpen = i % 2 === 1 && !LITERAL.has(part);
    return isOpen ? '[^\\n]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${source.join('')}`, 'm');
}

for (const { text, code } of documented) {
  test(text, async () => {
    const wanted = pattern(`redoubt: ${text}`);
    const start = starts[text];
    if (start !== undefined) {
      const ran = await start();
      assert.match(ran.stderr, wanted);
      assert.is(ran.code, code);
      assert.not.match(ran.stderr, /\n {4}at |hunter2/);
      return;
    }
    const given = cases[text];
    assert.ok(given !== undefined, 'documented, and nothing here produces it');
    prepare(given);
    Object.assign(process.env, given.env);
    try {
      const ran = await runMain(['config', 'check', '--config', path]);
      assert.match(ran.err, wanted);
      assert.is(ran.code, code);
      assert.not.match(ran.err, /hunter2|nsec1q/);
      const { out } = await runMain(['config', 'check', '--config', path, '--json']);
      assert.is((JSON.parse(out) as { ok: boolean }).ok, false);
    } finally {
      for (const name of Object.keys(given.env ?? {})) delete process.env[name];
    }
  });
}

test('every error that is known here is documented', () => {
  const known = [...Object.keys(cases), ...Object.keys(starts)];
  const rows = documented.map(({ text }) => text);
  for (const text of known) assert.ok(rows.includes(text), `not in the table: ${text}`);
  assert.is(rows.length, known.length);
});

test('what `config check` refuses a start refuses with the same words', async () => {
  prepare(cases['OPTION: expected number to be LIMIT']!);
  const checked = await runMain(['config', 'check', '--config', path]);
  const started = await runCli(['start', '--config', path]);
  assert.is(started.code, checked.code);
  const lines = checked.err.trim().replaceAll('\nredoubt: ', '; ');
  assert.is(started.stderr.trim(), `${lines} (docs/CONFIGURATION.md lists every option)`);
});

test('what only a quickstart starts with is said to be so', async () => {
  prepare({ file: { admin: { key: KEY }, redoubt: { quickstart: true } } });
  const checked = await runMain(['config', 'check', '--config', path]);
  assert.equal([checked.code, checked.out], [0, `${path}: good\n`]);
  assert.match(checked.err, 'warning: only "redoubt start --quickstart" starts with it; without: there is no relay');
  const { stderr } = await runCli(['start', '--config', path]);
  assert.match(stderr, 'there is no relay');
  const shown = await runMain(['config', 'show', '--config', path]);
  assert.match(shown.out, /embeddedRelay\.enabled +true +start --quickstart$/m);
  prepare({ file: { ...good, redoubt: { quickstart: true } } });
  assert.not.match((await runMain(['config', 'check', '--config', path])).err, 'start --quickstart');
});

test('a good one: its warnings, and each option with its source, without secrets', async () => {
  prepare({
    file: {
      ...good,
      baseUrl: 'https://bunker.example',
      nostr: { relays: ['wss://relay.example/?token=hunter2'] },
      redoubt: { http: { apiKey: 'hunter2hunter2hunter2' }, limits: { clientRat: 1 } },
    },
  });
  process.env.REDOUBT_CURVE = 'noble';
  try {
    const checked = await runMain(['config', 'check', '--config', path]);
    assert.is(checked.code, 0);
    assert.is(checked.out, `${path}: good\n`);
    assert.match(checked.err, 'baseUrl is set, but there is no web approval: the access rules (acl) alone decide');
    assert.match(checked.err, 'there are no admins');
    assert.match(
      checked.err,
      'redoubt.limits.clientRat is unknown and not looked at; the nearest is limits.clientRate',
    );
    const { out, code } = await runMain(['config', 'show', '--config', path, '--json']);
    assert.is(code, 0);
    assert.not.match(out, new RegExp(`hunter2|${KEY}`));
    const { options } = JSON.parse(out) as { options: { path: string; value: unknown; source: string }[] };
    const one = (name: string) => options.find(({ path }) => path === name);
    assert.equal(one('relays'), {
      path: 'relays',
      value: ['wss://relay.example/?[redacted]'],
      source: 'nsecbunker.json: nostr.relays',
    });
    assert.equal(one('http.apiKey'), {
      path: 'http.apiKey',
      value: '[redacted]',
      source: 'nsecbunker.json: redoubt.http.apiKey',
    });
    assert.equal(one('curve'), { path: 'curve', value: 'noble', source: 'environment: REDOUBT_CURVE' });
    assert.equal(one('http.listen'), { path: 'http.listen', value: '127.0.0.1:4737', source: 'default' });
    assert.match(
      (await runMain(['config', 'show', '--config', path])).out,
      /curve +"noble" +environment: REDOUBT_CURVE/,
    );
  } finally {
    delete process.env.REDOUBT_CURVE;
  }
});

test.run();
