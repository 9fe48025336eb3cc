import { createNostrConnectURI } from 'nostr-tools/nip46';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clientLabel, labelOfMetadata } from '../../src/nip46/client-label.ts';
import { MAX_RELAYS, readInvitation } from '../../src/nip46/nostrconnect.ts';

const client = 'ab'.repeat(32);
const uri = (query: string) => `nostrconnect://${client}?${query}`;
function invitation(text: string, allowPrivate = false) {
  const read = readInvitation(text, allowPrivate);
  if (!read.ok) throw new Error(read.refusal);
  return read.invitation;
}
const refusal = (text: string) => {
  const read = readInvitation(text, false);
  return read.ok ? 'ok' : read.refusal;
};

test('a URI as nostr-tools writes it', () => {
  const relays = ['wss://a.example/', 'wss://b.example'];
  const perms = ['sign_event:1', 'nip44_encrypt'];
  const text = createNostrConnectURI({ clientPubkey: client, relays, secret: 'a+b c&d', perms, name: 'My App' });
  assert.equal(invitation(text), {
    client,
    relays: ['wss://a.example', 'wss://b.example'],
    secret: 'a+b c&d',
    label: 'My App',
    perms: 'sign_event:1,nip44_encrypt',
  });
});

test('the older form has its metadata as JSON', () => {
  const metadata = encodeURIComponent(JSON.stringify({ name: 'Old App', url: 'https://app.example', perms: 'x' }));
  assert.is(invitation(uri(`relay=wss://a.example&secret=s&metadata=${metadata}`)).label, 'Old App');
  assert.is(invitation(uri('relay=wss://a.example&secret=s&metadata=nonsense')).label, '');
});

test('what is wrong is said, and the secret never', () => {
  const good = 'relay=wss://a.example&secret=verysecret';
  assert.is(refusal(uri(good)), 'ok');
  assert.match(refusal('bunker://x'), 'is not a nostrconnect:// URI');
  assert.match(refusal(''), 'is not a nostrconnect:// URI');
  assert.match(refusal(uri(`${good}&name=${'x'.repeat(9000)}`)), 'is not a nostrconnect:// URI');
  assert.match(refusal(`nostrconnect://abc?${good}`), 'public key');
  assert.match(refusal(uri('relay=wss://a.example')), 'has no secret');
  assert.match(refusal(uri(`relay=wss://a.example&secret=${'x'.repeat(257)}`)), 'more than 256');
  assert.match(refusal(uri('secret=verysecret')), 'names no relay');
  const local = refusal(uri('relay=ws://127.0.0.1:7777&relay=wss://10.0.0.1&secret=verysecret'));
  assert.match(local, 'is not a wss: URL');
  assert.not.match(local, 'verysecret');
});

test('relays that may not be dialled are passed over, doubles and what is too many left out', () => {
  const mixed = uri(
    'relay=ws://a.example&relay=wss://192.168.0.1&relay=wss://b.example&relay=wss://B.example/&secret=s',
  );
  assert.equal(invitation(mixed).relays, ['wss://b.example']);
  assert.equal(invitation(mixed, true).relays, ['ws://a.example', 'wss://192.168.0.1', 'wss://b.example']);
  const many = Array.from({ length: 30 }, (_, i) => `relay=wss://r${i}.example`).join('&');
  assert.is(invitation(uri(`${many}&secret=s`)).relays.length, MAX_RELAYS);
});

test('a label is one line of plain characters, not long', () => {
  assert.is(clientLabel('  Amethyst  '), 'Amethyst');
  assert.is(clientLabel('a\u001b[31m\r\nb\u202egnp.exe\u0000\u2028c'), 'a [31m b gnp.exe c');
  assert.is(clientLabel('half \ud83d of a pair'), 'half of a pair');
  assert.is([...clientLabel('😀'.repeat(1000))].length, 128);
  for (const none of [undefined, null, 1, {}, '', '\u0000']) assert.is(clientLabel(none), '');
});

test('of metadata only the name is looked at', () => {
  assert.is(labelOfMetadata('{"name":"App","url":"https://app.example","image":"https://app.example/i.png"}'), 'App');
  for (const none of ['', 'null', '[]', '{', '{"name":{}}', `{"name":"${'x'.repeat(5000)}"}`]) {
    assert.is(labelOfMetadata(none), '', none.slice(0, 20));
  }
});

test.run();
