import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { errorResponse, looksLikeRpc, parseRequest, successResponse } from '../../src/nip46/request.ts';

const read = (message: unknown) => parseRequest(JSON.stringify(message));

test('a request is read; absent and null parameters are empty strings', () => {
  assert.equal(read({ id: 'a', method: 'ping' }), { id: 'a', method: 'ping', params: [] });
  assert.equal(read({ id: 'a', method: 'connect', params: ['x', null] }), {
    id: 'a',
    method: 'connect',
    params: ['x', ''],
  });
});

test('a number as id is echoed as the string that it prints as', () => {
  assert.equal(read({ id: 12.5, method: 'ping', params: [] }), { id: '12.5', method: 'ping', params: [] });
});

test('an id of 256 characters is the longest', () => {
  assert.is.not(read({ id: 'x'.repeat(256), method: 'ping' }), null);
  assert.is(read({ id: 'x'.repeat(257), method: 'ping' }), null);
});

test('what is no request is nobody to answer', () => {
  for (const message of [
    null,
    [],
    'ping',
    7,
    {},
    { id: '1' },
    { id: '1', result: 'ack' },
    { id: {}, method: 'ping' },
    { id: '', method: 'ping' },
    { id: '1', method: '' },
    { id: '1', method: 7 },
  ]) {
    assert.is(read(message), null, JSON.stringify(message));
  }
  assert.is(parseRequest('{'), null);
});

test('a request with parameters that are no strings is answered, and says which', () => {
  assert.equal(read({ id: '1', method: 'sign_event', params: ['', {}] }), {
    id: '1',
    method: 'sign_event',
    error: 'invalid params: parameter 2 is not a string',
  });
  assert.match((read({ id: '1', method: 'ping', params: {} }) as { error: string }).error, 'an array of strings');
  assert.match(
    (read({ id: '1', method: 'ping', params: Array(17).fill('') }) as { error: string }).error,
    'more than 16',
  );
});

test('a success has no error member, an error an empty result', () => {
  assert.equal(JSON.parse(successResponse('1', 'ack')), { id: '1', result: 'ack' });
  assert.equal(JSON.parse(errorResponse('1', 'revoked')), { id: '1', result: '', error: 'revoked' });
});

test('messages of the RPC are told from other texts, however they are spelt', () => {
  for (const text of [
    '{"id":"1","method":"ping"}',
    '{"result":"ack","id":1}',
    ' {"\\u0069d":"1","method":"ping","params":[]} ',
    '{"id":null,"method":null}',
  ]) {
    assert.ok(looksLikeRpc(text), text);
  }
  for (const text of [
    'hello',
    '{"id":"1"}',
    '{"method":"ping"}',
    '["id","method"]',
    '"id"',
    '{"id":"1","method":"x"',
    'null',
  ]) {
    assert.not(looksLikeRpc(text), text);
  }
});

test.run();
