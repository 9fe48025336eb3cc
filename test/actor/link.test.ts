import { once } from 'node:events';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Link } from '../../src/actor/link.ts';
import { ActorError, type Ask, type Handlers, type Tell, Transferred } from '../../src/actor/protocol.ts';

type There = {
  add: Ask<{ a: number; b: number }, number>;
  never: Ask<null, null>;
  fail: Ask<null, null>;
  port: Ask<null, MessagePort>;
  note: Tell<{ text: string }>;
};

function pair(handlers: Partial<Handlers<There>>, capacity?: number) {
  const { port1, port2 } = new MessageChannel();
  const all: Handlers<There> = {
    add: ({ a, b }) => a + b,
    never: () => new Promise(() => {}),
    fail: () => {
      throw new Error('nsec1secret was in this message');
    },
    port: () => {
      const channel = new MessageChannel();
      channel.port1.postMessage('waiting');
      return new Transferred(channel.port2, [channel.port2]);
    },
    note: () => {},
    ...handlers,
  };
  const options = capacity === undefined ? {} : { capacity };
  const here = new Link<There, Record<never, never>>(port1, {}, options);
  const there = new Link<Record<never, never>, There>(port2, all, options);
  return { here, there, close: () => port1.close() };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => assert.unreachable('it was answered'),
    (reason) => reason,
  );
  assert.instance(error, ActorError);
  return (error as ActorError).code;
}

test('an ask is answered by its handler', async () => {
  const { here, close } = pair({});
  assert.is(await here.ask('add', { a: 2, b: 3 }), 5);
  close();
});

test('what is not urgent leaves with the next message, in order, and by itself when there is none', async () => {
  const seen: string[] = [];
  const { port1, port2 } = new MessageChannel();
  const batches: number[] = [];
  port2.on('message', (batch: unknown[]) => batches.push(batch.length));
  const here = new Link<There, Record<never, never>>(port1, {});
  new Link<Record<never, never>, { note: There['note'] }>(port2, { note: ({ text }) => void seen.push(text) });
  here.tellSoon('note', { text: 'first' });
  await new Promise((resolve) => setImmediate(resolve));
  here.tell('note', { text: 'second' });
  while (seen.length < 2) await once(port2, 'message');
  assert.equal(batches, [2]);
  here.tellSoon('note', { text: 'third' });
  while (seen.length < 3) await once(port2, 'message');
  assert.equal(seen, ['first', 'second', 'third']);
  port1.close();
});

test('messages of one turn arrive in order, in one batch', async () => {
  const seen: string[] = [];
  const { port1, port2 } = new MessageChannel();
  let batches = 0;
  port2.on('message', () => batches++);
  const here = new Link<There, Record<never, never>>(port1, {});
  new Link<Record<never, never>, { note: There['note'] }>(port2, { note: ({ text }) => void seen.push(text) });
  for (let i = 0; i < 50; i++) here.tell('note', { text: String(i) });
  await once(port2, 'message');
  assert.equal(seen, [...Array(50).keys()].map(String));
  assert.is(batches, 1);
  port1.close();
});

test('an unanswered ask is rejected at its deadline', async () => {
  const { here, close } = pair({});
  assert.is(await codeOf(here.ask('never', null, { timeoutMs: 30 })), 'timeout');
  assert.is(here.waiting, 0);
  close();
});

test('a full mailbox answers overloaded at once, on the asking side', async () => {
  const { here, close } = pair({}, 2);
  const waiting = [here.ask('never', null), here.ask('never', null)];
  assert.is(await codeOf(here.ask('never', null)), 'overloaded');
  close();
  for (const ask of waiting) assert.is(await codeOf(ask), 'closed');
});

test('a full mailbox answers overloaded at once, on the answering side', async () => {
  const { port1, port2 } = new MessageChannel();
  const here = new Link<There, Record<never, never>>(port1, {});
  new Link<Record<never, never>, { never: There['never'] }>(
    port2,
    { never: () => new Promise(() => {}) },
    { capacity: 1 },
  );
  void here.ask('never', null).catch(() => {});
  assert.is(await codeOf(here.ask('never', null)), 'overloaded');
  port1.close();
});

test('what waits when the other side goes is rejected as closed', async () => {
  const { here, close } = pair({});
  const asked = here.ask('never', null);
  setTimeout(close, 5);
  assert.is(await codeOf(asked), 'closed');
  assert.is(await codeOf(here.ask('add', { a: 1, b: 1 })), 'closed');
});

test('an exception crosses as name and code, never with its text', async () => {
  const { here, close } = pair({});
  const error = await here.ask('fail', null).catch((reason: ActorError) => reason);
  assert.instance(error, ActorError);
  assert.is((error as ActorError).message, 'fail: Error');
  close();
});

test('an answer may give a port away, with what already waits on it', async () => {
  const { here, close } = pair({});
  const port = await here.ask('port', null);
  const [message] = await once(port, 'message');
  assert.is(message, 'waiting');
  port.close();
  close();
});

test('a message of an unknown type is refused, not fatal', async () => {
  const { port1, port2 } = new MessageChannel();
  const here = new Link<There, Record<never, never>>(port1, {});
  new Link<Record<never, never>, Record<never, never>>(port2, {});
  here.tell('note', { text: 'nobody listens' });
  assert.is(await codeOf(here.ask('add', { a: 1, b: 1 })), 'failed');
  port1.close();
});

test('a worker that exits closes its link', async () => {
  const worker = new Worker('setTimeout(() => process.exit(0), 20)', { eval: true });
  const link = new Link<There, Record<never, never>>(worker, {});
  assert.is(await codeOf(link.ask('never', null)), 'closed');
  assert.ok(link.closed);
});

test.run();
