import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Responses } from '../../src/nip46/responses.ts';

test('what was given is known until its time has passed', () => {
  const responses = new Responses(1000);
  responses.set('body', { sig: 'a' }, 0);
  assert.equal(responses.get('body', 999), { sig: 'a' });
  assert.is(responses.get('body', 1000), undefined);
  assert.is(responses.get('other', 0), undefined);
});

test('the oldest go first when there are too many', () => {
  const responses = new Responses(1000, 2);
  for (const body of ['a', 'b', 'c']) responses.set(body, { sig: body }, 0);
  assert.is(responses.get('a', 0), undefined);
  assert.equal(responses.get('b', 0), { sig: 'b' });
  assert.equal(responses.get('c', 0), { sig: 'c' });
});

test.run();
