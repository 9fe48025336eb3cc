import { Duplex } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { WebSocket } from 'ws';
import { CorkedSocket } from '../../src/relay/corked.ts';
import { pause } from './events.ts';

/** A network that notes what reaches it in one write, and takes it only when told. */
function network() {
  const writes: string[] = [];
  let takes = true;
  const socket = new Duplex({
    read() {},
    writev(chunks, done) {
      writes.push(chunks.map(({ chunk }) => String(chunk)).join('|'));
      if (takes) done();
    },
  });
  const ws = {
    OPEN: 1,
    readyState: 1,
    get bufferedAmount() {
      return socket.writableLength;
    },
    send: (frame: string) => socket.write(frame),
  } as unknown as WebSocket;
  const stall = () => {
    takes = false;
  };
  return { ws, socket, writes, stall };
}

test('frames of one turn leave in one write, in order', async () => {
  const { ws, socket, writes } = network();
  const corked = new CorkedSocket(ws, socket, 1000);
  corked.send('a');
  await Promise.resolve();
  corked.send('b');
  process.nextTick(() => corked.send('c'));
  await pause(5);
  assert.equal(writes, ['a|b|c']);
  corked.send('d');
  await pause(5);
  assert.equal(writes, ['a|b|c', 'd']);
});

test('a side that does not read is told from a turn that writes much', async () => {
  const { ws, socket, stall } = network();
  const corked = new CorkedSocket(ws, socket, 100);
  assert.ok(corked.send('x'.repeat(300)));
  assert.ok(corked.send('x'));
  await pause(5);
  assert.ok(corked.send('x'), 'all was taken');
  await pause(5);
  stall();
  assert.ok(corked.send('x'.repeat(101)));
  await pause(5);
  assert.not.ok(corked.send('x'), 'nothing was taken');
});

test('one turn may not write without bound', () => {
  const { ws, socket } = network();
  const corked = new CorkedSocket(ws, socket, 100);
  let sent = 0;
  while (corked.send('x'.repeat(100))) sent++;
  assert.is(sent, 5);
});

test.run();
