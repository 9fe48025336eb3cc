import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { frameLimit, readClientFrame, readRelayFrame } from '../../src/relay/frame.ts';
import { someone, unsigned } from './events.ts';

const MAX = 1000;

test('an event is read with its text unchanged', () => {
  const { head, raw } = someone().event('cd'.repeat(32), {
    content: 'a "quoted" \\ text {}[] \u{1f5dd}',
    tags: [['x']],
  });
  const frame = readRelayFrame(`["EVENT","sub",${raw}]`, MAX);
  assert.is(frame.type, 'EVENT');
  if (frame.type !== 'EVENT') return;
  assert.is(frame.subscription, 'sub');
  assert.equal(frame.event.head, head);
  assert.is(frame.event.raw, raw);
  const client = readClientFrame(`["EVENT",${raw}]`, MAX);
  assert.is(client.type === 'EVENT' && client.event.raw, raw);
});

test('braces in a text are no objects', () => {
  const text = '\\"{'.repeat(100);
  assert.is(readClientFrame(`["EVENT",${unsigned({ content: text })}]`, MAX).type, 'EVENT');
  const many = unsigned({ content: text, extra: { deep: Array(40).fill({}) } });
  assert.match(JSON.stringify(readClientFrame(`["EVENT",${many}]`, MAX)), 'more than 32 objects');
});

test('the slice is what was parsed, however the frame is written', () => {
  const event = unsigned({ content: 'x"}]y', extra: { deep: ['}', ']'] } });
  const spellings = [
    `[ "EVENT" ,\t"s",\r\n ${event} ] `,
    `["\\u0045VENT","a\\"{b\\\\",${event}]`,
    `["EVENT","{\\"id\\":1}",${event}]`,
    `["EVENT","\\\\",${event}\n]`,
    `\n["EVENT","",${event}]`,
  ];
  for (const text of spellings) {
    const frame = readRelayFrame(text, MAX);
    assert.is(frame.type, 'EVENT', text);
    if (frame.type === 'EVENT') assert.is(frame.event.raw, event);
  }
});

test('the slice is what was parsed, for any subscription id and any event', () => {
  const space = fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\r'), maxLength: 3 });
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.json(), fc.string(), space, (id, extra, content, gap) => {
      const event = unsigned({ content, extra: JSON.parse(extra) });
      const text = `${gap}[${gap}"EVENT"${gap},${gap}${JSON.stringify(id)}${gap},${gap}${event}${gap}]${gap}`;
      const frame = readRelayFrame(text, 10_000);
      assert.is(frame.type, 'EVENT');
      if (frame.type === 'EVENT') assert.equal([frame.subscription, frame.event.raw], [id, event]);
    }),
    { numRuns: 500 },
  );
});

test('frames with more or fewer elements are refused', () => {
  const event = unsigned();
  for (const text of [
    `["EVENT","s",${event},${event}]`,
    `["EVENT","s",${event},1]`,
    `["EVENT",${event}]`,
    `["EVENT",1,${event}]`,
    '["EVENT","s"]',
  ]) {
    assert.is(readRelayFrame(text, MAX).type, 'refused', text);
  }
  assert.is(readClientFrame(`["EVENT",${event},{}]`, MAX).type, 'refused');
  assert.is(readClientFrame(`["EVENT","s",${event}]`, MAX).type, 'refused');
});

test('each field that routing needs is checked', () => {
  const bad: [string, unknown][] = [
    ['id', 'AB'.repeat(32)],
    ['id', 'ab'.repeat(31)],
    ['id', `${'ab'.repeat(32)}\n`],
    ['id', ['ab'.repeat(32)]],
    ['pubkey', null],
    ['pubkey', 'zz'.repeat(32)],
    ['kind', 1.5],
    ['kind', -1],
    ['kind', 65_536],
    ['kind', '24133'],
    ['created_at', '1'],
    ['created_at', 1e300],
    ['created_at', -1],
    ['tags', {}],
    ['tags', ['p']],
    ['tags', [['p', 1]]],
    ['content', 1],
    ['content', undefined],
    ['sig', 'ab'.repeat(63)],
    ['sig', 'AB'.repeat(64)],
  ];
  for (const [field, value] of bad) {
    const frame = readClientFrame(`["EVENT",${unsigned({ [field]: value })}]`, MAX);
    assert.is(frame.type, 'refused', `${field} ${value}`);
    if (frame.type === 'refused') assert.match(frame.reason, field);
  }
  for (const event of ['null', '[]', '1', '"x"']) {
    assert.is(readClientFrame(`["EVENT",${event}]`, MAX).type, 'refused', event);
  }
});

test('the first p tag is the recipient', () => {
  const read = (tags: string[][]) => {
    const frame = readClientFrame(`["EVENT",${unsigned({ tags })}]`, MAX);
    return frame.type === 'EVENT' ? frame.event.head.p : undefined;
  };
  assert.is(
    read([
      ['e', 'x'],
      ['p', 'first'],
      ['p', 'second'],
    ]),
    'first',
  );
  assert.is(read([]), '');
  assert.is(read([['p']]), '');
});

test('content is limited in bytes: limit - 1, limit, limit + 1', () => {
  const type = (content: string) => readClientFrame(`["EVENT",${unsigned({ content })}]`, MAX).type;
  assert.is(type('x'.repeat(MAX - 1)), 'EVENT');
  assert.is(type('x'.repeat(MAX)), 'EVENT');
  assert.is(type('x'.repeat(MAX + 1)), 'refused');
  assert.is(type('\u00e9'.repeat(MAX / 2)), 'EVENT');
  assert.is(type('\u00e9'.repeat(MAX / 2 + 1)), 'refused');
});

test('frames are limited before they are parsed: limit - 1, limit, limit + 1', () => {
  const limit = frameLimit(MAX);
  const padded = (size: number) => `["NOTICE","x"]`.padEnd(size, ' ');
  assert.is(readRelayFrame(padded(limit - 1), MAX).type, 'NOTICE');
  assert.is(readRelayFrame(Buffer.from(padded(limit)), MAX).type, 'NOTICE');
  // Not JSON either, which nobody comes to know.
  const frame = readRelayFrame(`{${padded(limit)}`, MAX);
  assert.is(frame.type === 'refused' && frame.refusal, 'too large');
});

test('a refused event says which one it was', () => {
  const id = 'ab'.repeat(32);
  const frame = readClientFrame(`["EVENT",${unsigned({ id, kind: 'x' })}]`, MAX);
  assert.is(frame.type === 'refused' && frame.id, id);
});

test('what is not a message is refused, with a reason', () => {
  for (const text of [
    '',
    'x',
    '{}',
    '[]',
    '[1]',
    'null',
    '["WHAT"]',
    '["OK","id"]',
    '["EOSE",1]',
    '["CLOSED"]',
    '['.repeat(9000),
  ]) {
    const frame = readRelayFrame(text, MAX);
    assert.is(frame.type, 'refused', text);
    if (frame.type === 'refused') assert.ok(frame.reason.length > 10);
  }
  for (const text of [
    '["REQ"]',
    '["REQ","",{}]',
    `["REQ","${'x'.repeat(65)}",{}]`,
    '["CLOSE"]',
    '["CLOSE",7]',
    '["AUTH"]',
  ]) {
    assert.is(readClientFrame(text, MAX).type, 'refused', text);
  }
});

test('the other messages are read', () => {
  assert.equal(readRelayFrame('["OK","i",false,"why"]', MAX), { type: 'OK', id: 'i', ok: false, reason: 'why' });
  assert.equal(readRelayFrame('["OK","i",true]', MAX), { type: 'OK', id: 'i', ok: true, reason: '' });
  assert.equal(readRelayFrame('["EOSE","s"]', MAX), { type: 'EOSE', subscription: 's' });
  assert.equal(readRelayFrame('["CLOSED","s","why"]', MAX), { type: 'CLOSED', subscription: 's', reason: 'why' });
  assert.equal(readRelayFrame('["AUTH","c"]', MAX), { type: 'AUTH', challenge: 'c' });
  const request = readClientFrame('["REQ","s",{"kinds":[1]},{}]', MAX);
  assert.equal(request, { type: 'REQ', subscription: 's', filters: [{ kinds: [1] }, {}] });
  assert.equal(readClientFrame('["CLOSE","s"]', MAX), { type: 'CLOSE', subscription: 's' });
});

test.run();
