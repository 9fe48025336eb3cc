import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Guard } from '../../src/http/guard.ts';

const KEY = 'a key of more than sixteen characters';
const guard = (apiKey: string | null = null, listenHost = '0.0.0.0') => new Guard({ listenHost, hosts: [], apiKey });
const from = (peer: string, headers: { [name: string]: string } = {}, arrivedAt = '10.0.0.5') => ({
  peer,
  headers,
  arrivedAt,
});

test('metrics from elsewhere than loopback need a key', () => {
  for (const peer of ['10.0.0.9', '::ffff:10.0.0.9', '2001:db8::1', '128.0.0.1', '', 'localhost']) {
    assert.is(guard().metrics(from(peer))?.status, 403, peer);
    assert.is(guard(KEY).metrics(from(peer))?.status, 401, peer);
    assert.is(guard(KEY).metrics(from(peer, { 'x-api-key': KEY })), null, peer);
  }
});
test('metrics from loopback do not', () => {
  for (const peer of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1'])
    assert.is(guard().metrics(from(peer)), null, peer);
});
test('the address that a request arrived at is a Host of ours, and so is the configured one', () => {
  assert.is(guard().host(from('10.0.0.9', { host: '10.0.0.5:4737' })), null);
  assert.is(guard().host(from('10.0.0.9', { host: '10.0.0.5:4737' }, '::ffff:10.0.0.5')), null);
  assert.is(guard(null, 'signer.lan').host(from('10.0.0.9', { host: 'signer.lan:4737' })), null);
  assert.is(guard().host(from('10.0.0.9', { host: '10.0.0.6:4737' }))?.status, 403);
  assert.is(guard().host(from('10.0.0.9'))?.status, 403);
});
test.run();
