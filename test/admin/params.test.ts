import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret } from '../../src/actor/protocol.ts';
import { cutSecrets, type JsonPath, valueAt } from '../../src/admin/cut-secrets.ts';
import { decodeJsonString, encodeJsonString } from '../../src/admin/json-string.ts';
import { methods } from '../../src/admin/methods/index.ts';
import { readRequest, requestFingerprint } from '../../src/admin/params.ts';
import { secretJson } from '../../src/admin/secret-json.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
const never = () => false;

/** JSON text of a value, with the freedoms that JSON gives: white space, and escapes that nothing asked for. */
function write(value: unknown, choose: () => number): string {
  const space = () => [' ', '\n', '\t', '\r', '', '', ''][choose() % 7]!;
  const text = (string: string) => {
    const units = string.split('').map((unit) => {
      const code = unit.charCodeAt(0).toString(16).padStart(4, '0');
      const plain = JSON.stringify(unit).slice(1, -1);
      return [plain, plain, plain, `\\u${code}`, `\\u${code.toUpperCase()}`, unit === '/' ? '\\/' : plain][
        choose() % 6
      ]!;
    });
    // A half of a surrogate pair that was escaped leaves the other half alone, which is no UTF-8.
    return `"${units.join('').replace(/[\ud800-\udfff]/g, (half) => `\\u${half.charCodeAt(0).toString(16)}`)}"`;
  };
  const go = (value: unknown): string => {
    if (typeof value === 'string') return text(value);
    if (Array.isArray(value)) return `[${space()}${value.map(go).join(`${space()},${space()}`)}${space()}]`;
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    const members = Object.entries(value).map(([key, member]) => `${text(key)}${space()}:${space()}${go(member)}`);
    return `{${space()}${members.join(`,${space()}`)}}`;
  };
  return `${space()}${go(value)}${space()}`;
}

/** What the reader should make of a document: strings at secret paths emptied, numbers there zeroed. */
function emptied(value: unknown, isSecret: (path: JsonPath) => boolean, found: Map<string, string>): unknown {
  const go = (value: unknown, path: (string | number)[], inside: boolean): unknown => {
    const secret = inside || isSecret(path);
    if (typeof value === 'string' && secret) {
      found.set(JSON.stringify(path), value);
      return '';
    }
    if (typeof value === 'number' && secret) return 0;
    if (Array.isArray(value)) return value.map((member, i) => go(member, [...path, i], secret));
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([key, member]) => [key, go(member, [...path, key], secret)]);
    return Object.fromEntries(entries);
  };
  return go(value, [], false);
}

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
);
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('any'), { maxLength: 5 }),
    fc.dictionary(fc.oneof(text, fc.constantFrom('params', 'id', 'method', '__proto__')), tie('any'), { maxKeys: 5 }),
  ),
})).any;

test('whatever JSON.parse reads is read the same, but for the secrets, which come out as bytes', () => {
  fc.assert(
    fc.property(value, fc.array(fc.nat(41), { minLength: 1, maxLength: 50 }), fc.nat(4), (value, choices, secretAt) => {
      let next = 0;
      const document = write(value, () => choices[next++ % choices.length]!);
      const parsed = JSON.parse(document);
      const isSecret = (path: JsonPath) =>
        path.length > 0 && path.reduce<number>((sum, step) => sum + String(step).length, path.length) % 5 === secretAt;
      const expected = new Map<string, string>();
      const open = emptied(parsed, isSecret, expected);

      const cut = cutSecrets(encode(document), isSecret);
      assert.ok(cut !== null, document);
      assert.is(JSON.stringify(cut.value), JSON.stringify(open));
      assert.is(cut.secrets.length, expected.size);
      for (const { path, bytes } of cut.secrets) {
        assert.equal([...bytes], [...encode(expected.get(JSON.stringify(path))!)]);
        assert.is(valueAt(cut.value, path), '');
        assert.is(bytes.buffer.byteLength, bytes.length, 'a buffer of its own, which may be given away');
      }
    }),
    { numRuns: 2000 },
  );
});

test('whatever JSON.parse refuses is refused, secrets or not', () => {
  fc.assert(
    fc.property(value, fc.nat(), fc.nat(255), fc.boolean(), (value, at, byte, secret) => {
      const bytes = encode(JSON.stringify(value));
      bytes[at % bytes.length] = byte;
      let valid = true;
      try {
        JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
      } catch {
        valid = false;
      }
      const cut = cutSecrets(bytes, () => secret);
      assert.is(cut !== null, valid, JSON.stringify(value));
    }),
    { numRuns: 3000 },
  );
  for (const broken of [
    '',
    ' ',
    '"',
    '"\\',
    '"\\u12',
    '"\\u12g4"',
    '"\\x"',
    '"\t"',
    '[1,]',
    '[1 2]',
    '{"a"}',
    '{"a":}',
    '{a:1}',
    '01',
    '-',
    '1.',
    '.5',
    '1e',
    '+1',
    'tru',
    'NaN',
    '[',
    '{',
    '1 1',
    '"a"b',
  ]) {
    for (const secret of [true, false])
      assert.is(
        cutSecrets(encode(broken), () => secret),
        null,
        broken,
      );
  }
});

test('a key that occurs twice counts once, the last; escaped keys are the keys that they spell', () => {
  const isKey = (path: JsonPath) => path.join('.') === 'a.key';
  const texts = (document: string) =>
    cutSecrets(encode(document), isKey)!.secrets.map((secret) => decode(secret.bytes));
  assert.equal(texts('{"a":{"key":"x","key":"y"}}'), ['y']);
  assert.equal(texts('{"a":{"key":"x"},"a":{"key":"y"}}'), ['y']);
  assert.equal(texts('{"a":{"key":"x"},"a":{}}'), []);
  assert.equal(texts('{"a":{"key":"x"},"a":{"key":5}}'), []);
  assert.equal(texts('{"\\u0061":{"k\\u0065y":"x"}}'), ['x']);
  assert.equal(texts('{"a":{"__proto__":{"key":"x"}}}'), []);
});

test('what is nested too deeply is refused, and ends no thread', () => {
  assert.is(cutSecrets(encode('['.repeat(100_000)), never), null);
  assert.is(cutSecrets(encode(`${'['.repeat(65)}${']'.repeat(65)}`), never), null);
  assert.ok(cutSecrets(encode(`${'['.repeat(64)}${']'.repeat(64)}`), never));
});

test('a JSON string that is written is read back', () => {
  fc.assert(
    fc.property(text, (text) => {
      const bytes = encode(text);
      const written = encodeJsonString(bytes);
      assert.is(JSON.parse(decode(written)), decode(bytes));
      assert.equal([...decodeJsonString(written, 0)!.bytes], [...bytes]);
    }),
  );
});

test('JSON that is written around secrets is read back', () => {
  fc.assert(
    fc.property(fc.dictionary(text, value), fc.dictionary(text, text), (open, secrets) => {
      const members = Object.entries(secrets).map(
        ([name, text]) => [`secret ${name}`, asSecret(encode(text))] as const,
      );
      const written = JSON.parse(decode(secretJson(open, Object.fromEntries(members))));
      const read = Object.fromEntries(members.map(([name, bytes]) => [name, decode(bytes)]));
      assert.equal(written, { ...JSON.parse(JSON.stringify(open)), ...read });
    }),
  );
});

test('secret parameters are bytes wherever the method stands; those of an unknown method are not kept at all', () => {
  const secretOf = (name: string) => methods.get(name)?.secret ?? null;
  const read = (document: string) => readRequest(encode(document), secretOf);
  for (const document of [
    '{"id":"1","method":"unlock_key","params":["k","pass"]}',
    '{"params":["k","p\\u0061ss"],"method":"unlock_key","id":"1"}',
    '{"method":"ping","params":["other"],"id":"1","method":"unlock_key","params":["k","pass"]}',
  ]) {
    const request = read(document)!;
    assert.equal([request.id, request.method, request.params], ['1', 'unlock_key', ['k', '']]);
    assert.equal(
      [...request.secrets].map(({ path, bytes }) => [path, decode(bytes)]),
      [[[1], 'pass']],
    );
  }
  const unknown = read('{"id":"1","method":"unlock_kye","params":["k","pass",["x"],7]}')!;
  assert.equal(unknown.params, ['', '', [''], 0]);
  const nested = read('{"id":"1","method":"unlock_key","params":["k",["pass"]],"extra":"pass"}')!;
  assert.equal([nested.params, nested.secrets.length], [['k', ['']], 0]);
  assert.equal(read('{"id":"1","method":"unlock_key"}')!.params, []);
  assert.equal(read('{"id":"1","method":"unlock_key","params":"pass"}')!.params, []);
  for (const none of [
    '[]',
    '"x"',
    'null',
    '{}',
    '{"id":"1"}',
    '{"method":"ping"}',
    '{"id":{},"method":"ping"}',
    '{"id":"1","method":""}',
    `{"id":"${'x'.repeat(257)}","method":"ping"}`,
  ]) {
    assert.is(read(none), null, none);
  }
});

test('secrets inside a parameter that is JSON are bytes too, and so is each member that the method does not know', () => {
  const read = (method: string, ...params: unknown[]) => {
    const request = readRequest(
      encode(JSON.stringify({ params, id: '1', method })),
      (name) => methods.get(name)?.secret ?? null,
    )!;
    return [request.params, request.secrets.map(({ path, bytes }) => [path.join('.'), decode(bytes)])];
  };
  const options = {
    key: 'k',
    client_name: 'c',
    policy: 'p',
    passphrase: 'pa"\\ss',
    pasphrase: 'typo',
    revoke_old: true,
  };
  const pair = [
    [{ ...options, passphrase: '', pasphrase: '' }],
    [
      ['0.passphrase', 'pa"\\ss'],
      ['0.pasphrase', 'typo'],
    ],
  ];
  assert.equal(read('pair', JSON.stringify(options)), pair);
  assert.equal(read('pair', options), pair, 'the object itself');
  const many = { passphrases: { 'a.b': 'one', c: ['two'] } };
  const swept = [
    [{ passphrases: { 'a.b': '', c: [''] } }],
    [
      ['0.passphrases.a.b', 'one'],
      ['0.passphrases.c.0', 'two'],
    ],
  ];
  assert.equal(read('unlock_keys', JSON.stringify(many)), swept);
  assert.equal(read('unlock_keys', many), swept);
  const text = JSON.stringify(options);
  for (const hidden of [JSON.stringify(text), `[${text}]`, `${text}x`, '"pass"', 'pass', '', '{"passphrase":"pass"']) {
    assert.equal(read('pair', hidden), [[''], []], hidden);
  }
  assert.equal(read('pair', ['pass']), [[['']], [['0.0', 'pass']]]);
});

test('a fingerprint tells requests apart by everything in them, secrets included', () => {
  const key = asSecret(new Uint8Array(32));
  const of = (admin: string, document: string) =>
    requestFingerprint(key, admin, readRequest(encode(document), (name) => methods.get(name)?.secret ?? null)!);
  const one = of('a', '{"id":"1","method":"unlock_key","params":["k","pass"]}');
  assert.is(of('a', '{"id":"1", "params":["k","p\\u0061ss"],"method":"unlock_key"}'), one);
  const others = [
    of('b', '{"id":"1","method":"unlock_key","params":["k","pass"]}'),
    of('a', '{"id":"2","method":"unlock_key","params":["k","pass"]}'),
    of('a', '{"id":"1","method":"lock_key","params":["k","pass"]}'),
    of('a', '{"id":"1","method":"unlock_key","params":["k","past"]}'),
    of('a', '{"id":"1","method":"unlock_key","params":["l","pass"]}'),
    of('a', '{"id":"1","method":"unlock_key","params":["k","pass","x"]}'),
  ];
  assert.is(new Set([one, ...others]).size, 7);
  const sweep = (passphrase: string) =>
    of('a', JSON.stringify({ id: '1', method: 'unlock_keys', params: [JSON.stringify({ passphrase })] }));
  assert.is.not(sweep('pass'), sweep('past'));
});

test.run();
