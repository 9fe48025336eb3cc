/** What people paste or hand over as text: URIs, keys to import, a client's name. */
import fc from 'fast-check';
import * as nip19 from 'nostr-tools/nip19';
import * as assert from 'uvu/assert';
import { asSecret, wipe } from '../../../src/actor/protocol.ts';
import { readConnectionString } from '../../../src/admin/connection-string.ts';
import { parseImport, wipeImport } from '../../../src/keystore/import.ts';
import { clientLabel, labelOfMetadata } from '../../../src/nip46/client-label.ts';
import { MAX_RELAYS, readInvitation } from '../../../src/nip46/nostrconnect.ts';
import { plainLine } from '../../../src/relay/plain-line.ts';
import { bytesOf, CANARY, CANARY_KEY, type Layer, textOf } from '../layer.ts';
import { mutatedJson, mutatedText, rawText } from '../mutate.ts';

const CLIENT = 'ab'.repeat(32);
const RELAY = 'wss://relay.example/path?x=1';
const key = Buffer.from(CANARY_KEY, 'hex');
/** A NIP-49 payload: version 2, log_n 16, and 89 bytes more. */
const payload = Buffer.concat([Uint8Array.of(2, 16), new Uint8Array(89).fill(5)]);

function uriOf(parts: readonly [string, string][]): string {
  return `nostrconnect://${CLIENT}?${parts.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`;
}

const URIS = [
  uriOf([
    ['relay', RELAY],
    ['secret', CANARY],
    ['name', 'A client'],
    ['perms', 'sign_event:1'],
  ]),
  uriOf([
    ['relay', RELAY],
    ['relay', 'wss://b.example'],
    ['secret', CANARY],
    ['metadata', '{"name":"\u202eevil"}'],
  ]),
  uriOf([
    ['relay', 'ws://127.0.0.1:80'],
    ['relay', 'wss://[::1]'],
    ['secret', CANARY],
  ]),
  uriOf([
    ['relay', 'wss://user:pass@host'],
    ['secret', CANARY],
  ]),
];

const invitations: Layer = {
  name: 'nostrconnect URI',
  inputs: fc.oneof({ weight: 9, arbitrary: mutatedText(URIS) }, { weight: 1, arbitrary: rawText }),
  judge(input) {
    const read = readInvitation(textOf(input), false);
    if (!read.ok) return { outcome: read.refusal, said: [read.refusal], size: 0 };
    const { client, relays, secret, label, perms } = read.invitation;
    assert.match(client, /^[0-9a-f]{64}$/);
    assert.ok(relays.length >= 1 && relays.length <= MAX_RELAYS);
    for (const relay of relays) assert.ok(isDialled(relay), relay);
    assert.ok(secret.length >= 1 && secret.length <= 256 && perms.length <= 1024);
    assert.ok(isPlain(label));
    return {
      outcome: 'accepted',
      said: [],
      size: relays.join('').length + secret.length + label.length + perms.length,
    };
  },
};

/** A relay of a stranger's that may be dialled: no address of a private network, no name and password. */
function isDialled(relay: string): boolean {
  const { protocol, hostname, username, password } = new URL(relay);
  const isPrivate = /^(\[|0\.|10\.|127\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|192\.168\.)/.test(hostname);
  return protocol === 'wss:' && username + password === '' && !isPrivate;
}

/** One line that steers no terminal. */
function isPlain(label: string): boolean {
  return [...label].length <= 128 && !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(label);
}

const connectionStrings: Layer = {
  name: 'bunker URI',
  inputs: fc.oneof(
    {
      weight: 9,
      arbitrary: mutatedText([
        `bunker://${nip19.npubEncode(CLIENT)}@relay.example%2Cws%3A%2F%2F127.0.0.1%3A4736`,
        `bunker://${CLIENT}@r.example`,
        `bunker://${CLIENT}?relay=wss%3A%2F%2Fr.example&secret=${CANARY}`,
      ]),
    },
    { weight: 1, arbitrary: rawText },
  ),
  judge(input) {
    const read = readConnectionString(textOf(input));
    if (read === null) return { outcome: 'no connection string', said: [], size: 0 };
    assert.match(read.pubkey, /^[0-9a-f]{64}$/);
    for (const relay of read.relays) assert.match(relay, /^wss?:\/\//);
    return { outcome: 'accepted', said: [], size: read.relays.join('').length };
  },
};

const imports: Layer = {
  name: 'key to import',
  inputs: fc
    .oneof(
      {
        weight: 6,
        arbitrary: mutatedText([
          CANARY_KEY,
          nip19.nsecEncode(key),
          nip19.npubEncode(CLIENT),
          nip19.encodeBytes('ncryptsec', payload),
          ` ${nip19.nsecEncode(key).toUpperCase()}\r\n`,
        ]),
      },
      {
        // A checksum that holds, over what is no key.
        weight: 3,
        arbitrary: fc
          .tuple(fc.constantFrom('nsec', 'npub', 'ncryptsec', 'note'), fc.uint8Array({ maxLength: 100 }))
          .map(([prefix, bytes]) => nip19.encodeBytes(prefix, bytes)),
      },
      {
        weight: 1,
        arbitrary: fc.tuple(fc.nat(3), fc.nat(255)).map(([version, logN]) => {
          const changed = Buffer.from(payload);
          changed.set([version, logN]);
          return nip19.encodeBytes('ncryptsec', changed);
        }),
      },
      { weight: 1, arbitrary: rawText },
    )
    .map((text) => Buffer.from(text)),
  judge(input) {
    const bytes = asSecret(Uint8Array.from(bytesOf(input)));
    const read = parseImport(bytes);
    const outcome = read.ok ? 'accepted' : read.refusal;
    const size = read.ok ? (read.form === 'plain' ? read.privateKey : read.payload).length : 0;
    wipeImport(read);
    wipe(bytes);
    return { outcome, said: read.ok ? [] : [read.refusal], size };
  },
  isValid(input) {
    const text = bytesOf(input)
      .toString('latin1')
      .replace(/^[ \t-\r]+|[ \t-\r]+$/g, '');
    if (/^[0-9a-fA-F]{64}$/.test(text)) return true;
    const prefix = /^(nsec|ncryptsec)1/i.exec(text)?.[1]?.toLowerCase();
    const data = prefix === undefined || text.length > 1_000 ? null : decodedNaively(prefix, text);
    if (data === null) return false;
    if (prefix === 'nsec') return data.length === 32;
    return data.length === 91 && data[0] === 2 && data[1]! >= 14 && data[1]! <= 22;
  },
};

/** The bytes of bech32 text: it is what nostr-tools writes for them, or the same in capitals. */
function decodedNaively(prefix: string, text: string): Buffer | null {
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) return null;
  const digits = [...lower.slice(prefix.length + 1, -6)].map((c) => 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'.indexOf(c));
  if (digits.includes(-1)) return null;
  const bits = digits.map((digit) => digit.toString(2).padStart(5, '0')).join('');
  const data = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  return nip19.encodeBytes(prefix, data) === lower ? data : null;
}

const labels: Layer = {
  name: 'what a stranger calls itself',
  inputs: fc.oneof(
    mutatedJson([{ name: 'A client', url: 'https://x.example' }]),
    rawText,
    fc.string({ unit: 'binary' }),
  ),
  judge(input) {
    const [name, metadata, line] = [
      clientLabel(textOf(input)),
      labelOfMetadata(textOf(input)),
      plainLine(textOf(input)),
    ];
    assert.ok(isPlain(name), name);
    assert.ok(isPlain(metadata), metadata);
    assert.ok(line.length <= 203 && !/[\p{Cc}\p{Cf}]/u.test(line), line);
    return { outcome: 'accepted', said: [], size: name.length + metadata.length + line.length };
  },
};

export const TEXTS: readonly Layer[] = [invitations, connectionStrings, imports, labels];
