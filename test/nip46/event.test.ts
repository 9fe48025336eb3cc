import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { finalizeEvent, getEventHash, verifyEvent } from 'nostr-tools/pure';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret } from '../../src/actor/protocol.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { checkTemplate, eventId, type NostrEvent, parseEvent, signedEventJson } from '../../src/nip46/event.ts';
import { bytesToHex, hexToBytes } from '../../src/nip46/hex.ts';

const CASES = Number(process.env.REDOUBT_PROPERTY_CASES ?? 200);
const NOW = 1_700_000_000;
const privateKey = new Uint8Array(32).fill(3);
const key = (await loadCurve()).openKey(asSecret(privateKey));
const pubkey = bytesToHex(key.publicKey);
const signer = { pubkey, now: NOW, maxFuture: 900 };
const template = { kind: 1, created_at: NOW, tags: [['t', 'a']], content: 'hello' };

function idOf(event: Omit<NostrEvent, 'id' | 'sig'>): string {
  return eventId(event.pubkey, event.created_at, event.kind, event.tags, event.content);
}

function check(value: unknown): ReturnType<typeof checkTemplate> {
  return checkTemplate(typeof value === 'string' ? value : JSON.stringify(value), signer);
}

test('the id is the hash of exactly what NIP-01 writes', () => {
  // By hand: the seven characters that are escaped; the rest, slash, DEL, U+2028 and beyond, as it is.
  const content = '\n"\\\r\t\b\f / \u007f é 😀 \u2028';
  const written = '\\n\\"\\\\\\r\\t\\b\\f / \u007f é 😀 \u2028';
  const text = `[0,"${pubkey}",${NOW},1,[["t","${written}"],[]],"${written}"]`;
  const event = { pubkey, created_at: NOW, kind: 1, tags: [['t', content], []], content };
  assert.is(idOf(event), createHash('sha256').update(text).digest('hex'));
  assert.is(idOf(event), getEventHash(event));
});

test('control characters without a letter are hashed as clients hash them', () => {
  for (let code = 0; code < 32; code++) {
    const content = `a${String.fromCharCode(code)}b`;
    const event = { ...template, pubkey, content, tags: [[content]] };
    assert.is(idOf(event), getEventHash(event), `${code}`);
  }
});

test('ids and JSON agree with nostr-tools, whatever the content', () => {
  const text = () => fc.string({ unit: 'grapheme', maxLength: 60 });
  fc.assert(
    fc.property(
      fc.nat(65_535),
      fc.nat(NOW + 900),
      fc.array(fc.array(text(), { maxLength: 4 }), { maxLength: 5 }),
      text(),
      (kind, created_at, tags, content) => {
        const checked = check({ kind, created_at, tags, content });
        assert.ok(checked.ok);
        const { event } = checked;
        assert.is(event.id, getEventHash({ pubkey, kind, created_at, tags, content }));
        const signed = { ...event, sig: 'ab'.repeat(64) };
        const expected = { id: event.id, pubkey, created_at, kind, tags, content, sig: signed.sig };
        assert.equal(JSON.parse(signedEventJson(signed)), expected);
        assert.is(signedEventJson(expected), signedEventJson(signed));
        assert.equal(parseEvent(signedEventJson(signed)), expected);
      },
    ),
    { numRuns: CASES },
  );
});

test('a signed template is an event that nostr-tools verifies', () => {
  const checked = check({ ...template, content: 'line\nbreak "quoted" \u0001' });
  assert.ok(checked.ok);
  const sig = bytesToHex(key.sign(hexToBytes(checked.event.id)));
  const event = JSON.parse(signedEventJson({ ...checked.event, sig }));
  assert.ok(verifyEvent(event));
  assert.equal(Object.keys(event).sort(), ['content', 'created_at', 'id', 'kind', 'pubkey', 'sig', 'tags']);
});

test('an event of nostr-tools is parsed to the same', () => {
  const { id, pubkey, created_at, kind, tags, content, sig } = finalizeEvent({ ...template }, privateKey);
  const event = { id, pubkey, created_at, kind, tags, content, sig };
  assert.equal(parseEvent(JSON.stringify(event)), event);
  assert.equal(parseEvent(JSON.stringify({ ...event, seen: 'r' })), event);
  assert.is(idOf(event), id);
});

test('what is not exactly an event is not parsed', () => {
  const event = JSON.parse(JSON.stringify(finalizeEvent({ ...template }, privateKey)));
  assert.ok(parseEvent(JSON.stringify(event)));
  for (const raw of ['', '{', 'null', '[]', '"x"', '1', JSON.stringify([event])]) assert.is(parseEvent(raw), null, raw);
  const bad: { [member: string]: unknown[] } = {
    id: [undefined, null, 1, '', event.id.slice(1), `${event.id}0`, event.id.toUpperCase(), 'g'.repeat(64)],
    pubkey: [undefined, null, 1, '', event.pubkey.slice(1), event.pubkey.toUpperCase(), `${event.pubkey}\n`],
    sig: [undefined, null, 1, '', event.sig.slice(2), `${event.sig}00`, event.sig.toUpperCase()],
    kind: [undefined, null, '1', -1, 1.5, 65_536, true],
    created_at: [undefined, null, '1', -1, 1.5, 2 ** 53, 1e300],
    content: [undefined, null, 1, {}, [], '\ud800'],
    tags: [undefined, null, 'x', {}, ['x'], [[1]], [[null]], [{}], [['\udc00']]],
  };
  for (const [member, values] of Object.entries(bad)) {
    for (const value of values) {
      const raw = JSON.stringify({ ...event, [member]: value });
      assert.is(parseEvent(raw), null, `${member}: ${JSON.stringify(value)}`);
    }
  }
});

test('a template keeps what it has, and gets what it lacks', () => {
  const { created_at, ...undated } = template;
  for (const given of [template, undated, { ...template, pubkey }, { ...template, id: 'x', sig: 7, more: {} }]) {
    const checked = check(given);
    assert.ok(checked.ok);
    const { json: _, ...event } = checked.event;
    assert.equal(event, { ...template, created_at, pubkey, id: getEventHash({ ...template, pubkey }) });
  }
});

test('a template that is wrong is refused with what is wrong', () => {
  const bad: [unknown, string][] = [
    ['', 'not a JSON object'],
    ['{', 'not a JSON object'],
    ['null', 'not a JSON object'],
    ['[]', 'not a JSON object'],
    ['"x"', 'not a JSON object'],
    ...[undefined, null, '1', -1, 1.5, 65_536, true].map(
      (kind) => [{ ...template, kind }, 'kind must be an integer from 0 to 65535'] as [unknown, string],
    ),
    ...[undefined, null, 1, {}, []].map(
      (content) => [{ ...template, content }, 'content must be a string'] as [unknown, string],
    ),
    ...[undefined, null, 'x', {}, ['x'], [[1]], [[null]], [{}]].map(
      (tags) => [{ ...template, tags }, 'tags must be an array of arrays of strings'] as [unknown, string],
    ),
    ...[null, '1', -1, 1.5].map(
      (created_at) =>
        [{ ...template, created_at }, 'created_at must be an integer, in seconds, not below 0'] as [unknown, string],
    ),
    [{ ...template, created_at: NOW + 901 }, 'created_at is more than 900 s in the future'],
    ...['', null, 'ab'.repeat(32), pubkey.toUpperCase()].map(
      (pubkey) => [{ ...template, pubkey }, 'pubkey is not the one that this key signs for'] as [unknown, string],
    ),
    [{ ...template, content: 'a\ud800b' }, 'content has half of a surrogate pair'],
    [{ ...template, content: '\udc00\ud800' }, 'content has half of a surrogate pair'],
    [{ ...template, tags: [['t', '\udfff']] }, 'tags have half of a surrogate pair'],
  ];
  for (const [given, what] of bad) {
    assert.equal(check(given), { ok: false, error: `invalid event: ${what}` }, JSON.stringify(given));
  }
});

test('the bounds of kind and created_at belong to it', () => {
  for (const kind of [0, 65_535]) assert.ok(check({ ...template, kind }).ok);
  for (const created_at of [0, NOW + 899, NOW + 900]) assert.ok(check({ ...template, created_at }).ok);
});

test('hex is read strictly', () => {
  assert.equal([...hexToBytes('00ff10')], [0, 255, 16]);
  assert.is(bytesToHex(Uint8Array.of(0, 255, 16)), '00ff10');
  for (const bad of ['0', 'zz', '00 0', '0g', '00\n']) assert.throws(() => hexToBytes(bad), 'not hex', bad);
});

test.run();
