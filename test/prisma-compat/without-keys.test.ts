import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withoutKeys } from '../../prisma-compat/without-keys.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const without = (text: string, ...names: string[]) => {
  const rest = withoutKeys(bytes(text), new Set(names));
  return rest === null ? null : new TextDecoder().decode(rest);
};

test('what goes takes its comma along, and the rest stays byte for byte', () => {
  const text =
    '{ "a" : [1, {"keys": {"x": 1}}],\n  "keys": {\n    "x": {"key": "}"},\n    "y": {"iv": "a\\"{"},\n    "z": 3\n  }, "b": "ü" }';
  assert.is(without(text), text);
  assert.is(without(text, 'x'), text.replace('"x": {"key": "}"},\n    ', ''));
  assert.is(without(text, 'y'), text.replace('"y": {"iv": "a\\"{"},\n    ', ''));
  assert.is(without(text, 'z'), text.replace(',\n    "z": 3', ''));
  assert.is(without(text, 'y', 'z'), text.replace(',\n    "y": {"iv": "a\\"{"},\n    "z": 3', ''));
  assert.is(without(text, 'x', 'z'), text.replace('"x": {"key": "}"},\n    ', '').replace(',\n    "z": 3', ''));
  assert.equal(JSON.parse(without(text, 'x', 'y', 'z') ?? '').keys, {});
});

test('every choice of keys leaves JSON without these and with all others', () => {
  const names = ['a', 'b "', 'c\\', 'ä', ''];
  const text = JSON.stringify(
    { admin: { key: 'k' }, keys: Object.fromEntries(names.map((name) => [name, { iv: '[', data: '{,' }])) },
    null,
    1,
  );
  for (let choice = 0; choice < 2 ** names.length; choice++) {
    const gone = names.filter((_, i) => (choice >> i) & 1);
    const rest = JSON.parse(without(text, ...gone) ?? '');
    assert.equal(
      Object.keys(rest.keys),
      names.filter((name) => !gone.includes(name)),
    );
    assert.is(rest.admin.key, 'k');
  }
});

test('a document without keys, and one that is no object', () => {
  assert.is(without('{"admin":{}}', 'a'), '{"admin":{}}');
  assert.is(without('[1]', 'a'), null);
  assert.is(without('{"keys":', 'a'), null);
});

test.run();
