import type { LookupAddress } from 'node:dns';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clientRelayUrl } from '../../src/relay/client-relay-url.ts';
import { OutsideSocket } from '../../src/relay/outside-socket.ts';
import { isPublicAddress, publicLookup } from '../../src/relay/public-address.ts';

const PUBLIC = ['1.1.1.1', '93.184.215.14', '100.128.0.1', '172.32.0.1', '2606:4700::1111', '2a00:1450::1'];
const NOT_PUBLIC = [
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.255.255',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.8',
  '192.0.2.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:1.1.1.1',
  '64:ff9b::7f00:1',
  'fc00::1',
  'fd12::1',
  'fe80::1',
  'fec0::1',
  'ff02::1',
  '2001::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '3fff::1',
  'localhost',
  '',
];

test('public addresses are told from all others', () => {
  for (const address of PUBLIC) assert.is(isPublicAddress(address), true, address);
  for (const address of NOT_PUBLIC) assert.is(isPublicAddress(address), false, address);
});

test("of a client's relays only wss: at names and public addresses is dialled, however they are written", () => {
  const may = (url: string, allowPrivate = false) => clientRelayUrl(url, allowPrivate).ok;
  for (const url of ['wss://relay.example', 'wss://1.1.1.1:8443/path', 'wss://[2606:4700::1111]'])
    assert.ok(may(url), url);
  const refused = [
    'ws://relay.example',
    'wss://127.0.0.1',
    'wss://127.1',
    'wss://0x7f.1',
    'wss://2130706433',
    'wss://0177.0.0.1',
    'wss://[::1]',
    'wss://[::ffff:7f00:1]',
    'wss://169.254.169.254/latest/meta-data',
    'wss://user:password@relay.example',
    'https://relay.example',
    'ws+unix:///run/docker.sock',
    `wss://relay.example/${'x'.repeat(600)}`,
    'nonsense',
    '',
  ];
  for (const url of refused) assert.not.ok(may(url), url);
  for (const url of ['ws://127.0.0.1:7777', 'wss://10.0.0.1', 'ws://relay.local']) assert.ok(may(url, true), url);
  assert.not.ok(may('wss://user:password@relay.example', true));
});

/** A resolver that answers each time with the next of these lists. */
function resolver(...answers: string[][]) {
  const asked: string[] = [];
  const lookup: Parameters<typeof publicLookup>[0] = (name, _options, done) => {
    const addresses = answers[asked.push(name) - 1] ?? [];
    done(
      null,
      addresses.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
  return { asked, lookup };
}

const look = (lookup: ReturnType<typeof publicLookup>, all: boolean) =>
  new Promise((resolve, reject) =>
    lookup('relay.example', { all }, (error, address) => (error ? reject(error) : resolve(address))),
  );

test('a name gives its public addresses, and none of the others', async () => {
  const mixed = ['127.0.0.1', '1.1.1.1', '10.0.0.1', '2606:4700::1111'];
  assert.equal(await look(publicLookup(resolver(mixed).lookup), true), [
    { address: '1.1.1.1', family: 4 },
    { address: '2606:4700::1111', family: 6 },
  ]);
  assert.is(await look(publicLookup(resolver(mixed).lookup), false), '1.1.1.1');
  const refused = await look(publicLookup(resolver(['10.0.0.1', '::1']).lookup), true).then(String, String);
  assert.match(refused, 'no public address');
});

test('a socket dials what was looked up and checked, once: a name that turns private is not connected to', async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  // A test that fails must not keep the process.
  server.unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const limits = { maxPayload: 1000, maxBuffered: 1000, connectMs: 2000, pingMs: 1000 };
  const dial = (names: ReturnType<typeof resolver>, checked: boolean) =>
    new Promise<string>((closed) => {
      const lookup = checked ? publicLookup(names.lookup) : (names.lookup as never);
      const listener = { opened: () => {}, text: () => {}, closed };
      new OutsideSocket(`wss://relay.example:${port}`, { ...limits, lookup }, listener, 0);
    });
  const rebound = resolver(['127.0.0.1'], ['127.0.0.1']);
  assert.match(await dial(rebound, true), 'no public address');
  assert.is(connections, 0);
  assert.equal(rebound.asked, ['relay.example']);
  await dial(resolver(['127.0.0.1']), false);
  assert.is(connections, 1, 'without the check it would have been');
  server.close();
});

test.run();
