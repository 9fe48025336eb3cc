import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateSecretKey, getPublicKey, nip19 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfigFile } from '../../src/admin/config-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'redoubt-config-'));
const path = join(folder, 'nsecbunker.json');
test.after(() => rmSync(folder, { recursive: true }));

const key = generateSecretKey();
const hex = Buffer.from(key).toString('hex');
const admin = getPublicKey(generateSecretKey());

function read(config: unknown) {
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config), { mode: 0o600 });
  chmodSync(path, 0o600);
  return readConfigFile(path);
}

function refusal(config: unknown): string {
  const answer = read(config);
  if (answer.ok) throw new Error('accepted');
  assert.ok(answer.refusal.startsWith(`${path}: `), answer.refusal);
  assert.not.ok(answer.refusal.includes('\n'));
  assert.not.ok(answer.refusal.includes(hex));
  return answer.refusal.slice(path.length + 2);
}

test("nsecbunkerd's file, without its secrets", () => {
  const answer = read({
    admin: {
      key: hex,
      npubs: [nip19.npubEncode(admin), admin.toUpperCase()],
      adminRelays: ['wss://a.example.com'],
      notifyAdminsOnBoot: true,
    },
    nostr: { relays: ['wss://r.example.com'] },
    database: 'sqlite://nsecbunker.db',
    logs: './nsecbunker.log',
    verbose: false,
    keys: { one: { iv: 'aa', data: 'CANARY-DATA' }, two: { key: 'CANARY-KEY' } },
    baseUrl: null,
    authPort: 3000,
    authHost: '0.0.0.0',
    domains: { 'example.com': { nip05: '/x', wallet: { lnbits: { key: 'CANARY-WALLET' } } } },
    version: '0.10.5',
    redoubt: { log: { level: 'debug' } },
  });
  if (!answer.ok) throw new Error(answer.refusal);
  assert.is(Buffer.from(answer.adminKey).toString('hex'), hex);
  assert.is(answer.quickstart, false);
  assert.equal(answer.config, {
    adminPubkeys: [admin, admin],
    adminRelays: ['wss://a.example.com'],
    nostrRelays: ['wss://r.example.com'],
    database: 'sqlite://nsecbunker.db',
    keyNames: ['one', 'two'],
    plainKeyNames: ['two'],
    redoubt: '{"log":{"level":"debug"}}',
    warnings: [],
  });
});

test('the least that is needed; the key as nsec too', () => {
  const answer = read({ admin: { key: nip19.nsecEncode(key) }, redoubt: { quickstart: true, curve: 'noble' } });
  if (!answer.ok) throw new Error(answer.refusal);
  assert.is(Buffer.from(answer.adminKey).toString('hex'), hex);
  assert.is(answer.quickstart, true);
  assert.is(answer.config.redoubt, '{"curve":"noble"}');
  assert.equal([answer.config.database, answer.config.adminPubkeys], [null, []]);
});

test('what is broken is named by its place', () => {
  assert.is(refusal('{"admin":'), 'is not JSON: see to its commas, quotes and brackets');
  assert.is(refusal('[]'), 'the file must be an object in { }');
  assert.is(refusal({}), "admin is missing: it holds the daemon's own key");
  assert.match(refusal({ admin: {} }), /^admin.key is missing/);
  assert.match(refusal({ admin: { key: 5 } }), /^admin.key is missing or not text/);
  assert.is(refusal({ admin: { key: `${hex.slice(2)}zz` } }), 'admin.key is neither 64 hex digits nor an nsec');
  assert.is(refusal({ admin: { key: nip19.npubEncode(admin) } }), 'admin.key is neither 64 hex digits nor an nsec');
  assert.is(refusal({ admin: { key: hex, npubs: 'x' } }), 'admin.npubs must be a list in [ ]');
  assert.is(
    refusal({ admin: { key: hex, npubs: [nip19.npubEncode(admin), 'npub1xyz'] } }),
    'admin.npubs[1] is not an npub',
  );
  assert.is(
    refusal({ admin: { key: hex, adminRelays: ['relay.example.com'] } }),
    'admin.adminRelays[0] must be a relay URL that starts with wss:// or ws://',
  );
  assert.is(refusal({ admin: { key: hex }, nostr: { relays: [5] } }), 'nostr.relays[0] must be text in quotes');
  assert.is(refusal({ admin: { key: hex }, verbose: 'yes' }), 'verbose must be true or false');
  assert.is(refusal({ admin: { key: hex }, redoubt: 5 }), 'redoubt must be an object in { }');
});

test('unknown properties are warned of with the nearest known one', () => {
  const answer = read({ admin: { key: hex, npub: [] }, databse: 'x' });
  if (!answer.ok) throw new Error(answer.refusal);
  assert.equal(answer.config.warnings, [
    `${path}: databse is unknown and not looked at; the nearest is database`,
    `${path}: admin.npub is unknown and not looked at; the nearest is npubs`,
  ]);
});

test('a file that others can read is warned of; a missing one is refused', () => {
  read({ admin: { key: hex } });
  chmodSync(path, 0o644);
  const answer = readConfigFile(path);
  assert.ok(answer.ok && /set its mode to 600/.test(answer.config.warnings[0]!));
  const missing = readConfigFile(join(folder, 'none.json'));
  assert.ok(!missing.ok && missing.missing && /there is no such configuration file/.test(missing.refusal));
});

test.run();
