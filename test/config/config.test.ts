import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConfigSources } from '../../src/config/sources.ts';
import { type Config, readConfig } from '../../src/config.ts';

type Sources = Partial<Omit<ConfigSources, 'file'>> & { file?: Partial<ConfigSources['file']>; redoubt?: unknown };

const NPUB = 'npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6';
const PUBKEY = '3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d';
const NSEC = 'nsec180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsgyumg0';

function read({ file, redoubt, ...rest }: Sources) {
  const empty = {
    adminPubkeys: [],
    adminRelays: [],
    nostrRelays: [],
    database: null,
    redoubt: JSON.stringify(redoubt ?? {}),
  };
  const base = { env: {}, flags: {}, data: '/srv/bunker', cwd: '/srv', memory: 2 ** 30 };
  return readConfig({ ...base, ...rest, file: { ...empty, ...file } });
}
function config(sources: Sources): Config {
  const result = read(sources);
  if (!result.ok) throw new Error(result.refusal);
  return result.config;
}
function warnings(sources: Sources): string[] {
  const result = read(sources);
  if (!result.ok) throw new Error(result.refusal);
  return result.warnings;
}
function refusal(sources: Sources): string {
  const result = read(sources);
  if (result.ok) throw new Error('was accepted');
  return result.refusal;
}

const order = suite('sources');
order('nothing given: the defaults', () => {
  const { database, keystore, maxActiveKeys, limits, embeddedRelay } = config({});
  assert.is(database, '/srv/bunker/nsecbunker.db');
  assert.equal(keystore, { dir: '/srv/bunker/keystore', logN: 17 });
  // A quarter of 1 GiB at 12 MiB each.
  assert.is(maxActiveKeys, 21);
  assert.is(limits.requestDeadline, 30_000);
  assert.equal(embeddedRelay, { enabled: false, listen: { host: '127.0.0.1', port: 4736 } });
  assert.equal(warnings({}), []);
});
order('flags win over the environment, the environment over the file', () => {
  const redoubt = { limits: { clientRate: 1, clientBurst: 2, keyQueue: 3 } };
  const env = { REDOUBT_LIMITS_CLIENT_BURST: '20', REDOUBT_LIMITS_KEY_QUEUE: '30' };
  const { limits } = config({ redoubt, env, flags: { 'limits.keyQueue': '300' } });
  assert.equal([limits.clientRate, limits.clientBurst, limits.keyQueue], [1, 20, 300]);
  assert.is(limits.content, 262_144);
});
order("nsecbunkerd's properties are read; ours win over them", () => {
  const file = {
    nostrRelays: ['wss://b.example/', 'wss://a.example'],
    adminPubkeys: [PUBKEY],
    database: 'sqlite://x.db',
  };
  const legacy = config({ file });
  assert.equal(legacy.relays, ['wss://a.example', 'wss://b.example']);
  assert.equal(legacy.adminRelays, legacy.relays);
  assert.equal(legacy.admins, [PUBKEY]);
  assert.is(legacy.database, '/srv/x.db');
  assert.equal(config({ file, redoubt: { relays: ['ws://c.example:81'] } }).relays, ['ws://c.example:81']);
});
order('the environment of nsecbunkerd', () => {
  const env = { ADMIN_NPUBS: ` ${NPUB}, ${PUBKEY.toUpperCase()}`, DATABASE_URL: 'file:/db/nsecbunker.db' };
  assert.equal(config({ env }).admins, [PUBKEY, PUBKEY]);
  assert.is(config({ env }).database, '/db/nsecbunker.db');
});
order('names that a request may give as its Host, without a port', () => {
  const hosts = ['proxy.example', '10.0.0.7', 'fd00::7'];
  assert.equal(config({ redoubt: { http: { hosts } } }).http.hosts, hosts);
  for (const host of ['proxy.example:443', '[fd00::7]', '[fd00::7]:443', 'https://proxy.example', '']) {
    assert.match(refusal({ redoubt: { http: { hosts: [host] } } }), 'redoubt.http.hosts entry 1: expected a host name');
  }
});
order('texts are read as what the option is', () => {
  const env = {
    REDOUBT_RELAY_LISTEN: '[::1]:0',
    REDOUBT_EMBEDDED_RELAY_ENABLED: 'yes',
    REDOUBT_HTTP_ENABLED: 'off',
    REDOUBT_KINDS_NOT_IN_ALL: '1, 2',
    REDOUBT_CURVE: 'noble',
    REDOUBT_LIMITS_STRANGERS_PER_KEY: '0.5',
    REDOUBT_DATA: '/elsewhere',
    REDOUBT_API_KEY: '',
  };
  const read = config({ env });
  assert.equal(read.embeddedRelay, { enabled: true, listen: { host: '::1', port: 0 } });
  assert.is(read.http.enabled, false);
  assert.is(read.http.apiKey, null);
  assert.equal(read.kindsNotInAll, [1, 2]);
  assert.is(read.curve, 'noble');
  assert.is(read.limits.strangersPerKey, 0.5);
  assert.equal(warnings({ env }), []);
});
order.run();

const unknown = suite('unknown names');
unknown('a key that does not exist is a warning with the nearest one', () => {
  const told = warnings({ redoubt: { limits: { clientRat: 1 }, limit: {}, answerUnknwon: 'all' } });
  assert.is(told.length, 3);
  assert.match(told[0] as string, /redoubt\.limits\.clientRat is unknown .* limits\.clientRate$/);
  assert.match(told[1] as string, /redoubt\.limit is unknown .* limits$/);
  assert.match(told[2] as string, /redoubt\.answerUnknwon is unknown .* answerUnknown$/);
});
unknown('a variable that does not exist is one too', () => {
  assert.match(
    warnings({ env: { REDOUBT_RELAY_LISTN: 'x' } })[0] as string,
    /REDOUBT_RELAY_LISTN .* REDOUBT_RELAY_LISTEN$/,
  );
  assert.equal(warnings({ env: { RELAY_LISTEN: 'x' } }), []);
  assert.match(
    warnings({ env: { NSECBUNKER_AUTOUNLOCK_PASSPHRASEFILE: 'x' } })[0] as string,
    /NSECBUNKER_AUTOUNLOCK_PASSPHRASEFILE .* NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE$/,
  );
  assert.equal(warnings({ env: { NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: 'x' } }), []);
});
unknown('a flag that does not exist is refused', () => {
  assert.match(
    refusal({ flags: { 'htp.listen': 'x' } }),
    'flag for htp.listen: no such option; the nearest is http.listen',
  );
});
unknown('an address for an embedded relay that is off is a warning', () => {
  assert.match(warnings({ env: { REDOUBT_RELAY_LISTEN: '127.0.0.1:1' } })[0] as string, 'embeddedRelay.enabled is not');
});
unknown.run();

const wrong = suite('wrong values');
const cases: [what: string, sources: Sources, refusal: string | RegExp][] = [
  [
    'type in the file',
    { redoubt: { limits: { clientRate: 'fast' } } },
    'nsecbunker.json: redoubt.limits.clientRate: expected number, received string',
  ],
  ['not an object', { redoubt: [] }, 'nsecbunker.json: redoubt: expected an object'],
  ['not JSON', { file: { redoubt: '{' } }, 'nsecbunker.json: redoubt: not valid JSON'],
  ['a group that is none', { redoubt: { http: 3 } }, 'redoubt.http: expected object, received number'],
  [
    "in nsecbunkerd's property",
    { file: { nostrRelays: ['wss://a', 'http://b'] } },
    'nsecbunker.json: nostr.relays entry 2: expected a relay URL',
  ],
  [
    'type in the environment',
    { env: { REDOUBT_BLANK_WORKERS: 'many' } },
    'REDOUBT_BLANK_WORKERS: expected number, received string',
  ],
  ['boolean in the environment', { env: { REDOUBT_HTTP_ENABLED: 'maybe' } }, 'REDOUBT_HTTP_ENABLED: expected boolean'],
  ['type in a flag', { flags: { blankWorkers: '1.5' } }, 'flag for blankWorkers: expected int'],
  ['out of range', { redoubt: { keystore: { logN: 13 } } }, 'redoubt.keystore.logN: expected number to be >=14'],
  [
    'not one of the words',
    { env: { REDOUBT_CURVE: 'fast' } },
    'REDOUBT_CURVE: expected one of "auto"|"native"|"wasm"|"noble"',
  ],
  ['address', { env: { REDOUBT_HTTP_LISTEN: '4737' } }, 'REDOUBT_HTTP_LISTEN: expected HOST:PORT'],
  ['port', { env: { REDOUBT_HTTP_LISTEN: 'localhost:65536' } }, 'REDOUBT_HTTP_LISTEN: expected HOST:PORT'],
  ['IPv6 without brackets', { env: { REDOUBT_HTTP_LISTEN: '::1:80' } }, 'REDOUBT_HTTP_LISTEN: expected HOST:PORT'],
  [
    'wrong beneath a source that wins',
    { redoubt: { curve: 1 }, env: { REDOUBT_CURVE: 'noble' } },
    'redoubt.curve: expected one of',
  ],
  [
    'several at once',
    { env: { REDOUBT_CURVE: 'x' }, flags: { blankWorkers: 'x' } },
    /REDOUBT_CURVE: .*; flag for blankWorkers: /,
  ],
  [
    'database',
    { env: { DATABASE_URL: 'postgres://u:hunter2@h/db' } },
    /^DATABASE_URL: begins with postgres:, which is not understood/,
  ],
  [
    'database under redoubt',
    { redoubt: { database: 'postgres://u:hunter2@h/db' } },
    /^nsecbunker\.json: redoubt\.database: begins with postgres:/,
  ],
];
for (const [what, sources, expected] of cases) {
  wrong(what, () => {
    assert.match(refusal(sources), expected);
    assert.match(refusal(sources), /^[^\n]*docs\/CONFIGURATION\.md[^\n]*$/);
  });
}
wrong('no value is quoted, be it a secret', () => {
  const told = [
    refusal({ env: { ADMIN_NPUBS: NSEC } }),
    refusal({ env: { REDOUBT_API_KEY: 'hunter2' } }),
    refusal({ env: { DATABASE_URL: 'postgres://u:hunter2@h/db' } }),
    refusal({ redoubt: { relays: ['wss://u:hunter2@h'] } }),
  ].join('\n');
  assert.not.match(told, /hunter2|nsec180/);
  assert.match(told, 'ADMIN_NPUBS entry 1: this is a private key');
});
wrong.run();
