/** The thread of a key: one key in its life, and the key that it is told. */
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Blanks } from '../../src/key/blanks.ts';
import { KeyThread } from '../../src/key/thread.ts';
import { UNANSWERED } from '../../src/keystore/protocol.ts';
import { Custodian, passphrase, released } from '../keystore/setup.ts';

const WORKER = join(import.meta.dirname, '../../workers/key.ts');
const custodian = new Custodian();
let first: string;
let second: string;
test.before(async () => {
  first = await custodian.created('first', passphrase('p'));
  second = await custodian.created('second', passphrase('p'));
});
test.after(() => custodian.close());

const limits = {
  maxClockSkew: 600,
  maxFutureEvent: 600,
  clientRate: 1,
  clientBurst: 1,
  requestDeadline: 1000,
  maxContent: 4096,
  answerUnknown: 'none' as const,
};

const start = (warm: boolean) =>
  new KeyThread(
    WORKER,
    { curve: 'noble', warm },
    () => {},
    () => {},
  );

async function withThread(work: (thread: KeyThread) => Promise<void>): Promise<void> {
  const thread = start(true);
  try {
    assert.ok(await thread.ready);
    await work(thread);
  } finally {
    await thread.end();
    await thread.gone;
  }
}

/** Has the thread become the actor of `pubkey`, with what the vault opens `of` with. */
async function activate(thread: KeyThread, pubkey: string, of = pubkey) {
  const vault = (await released(custodian.vault, of))!;
  const { port1, port2 } = new MessageChannel();
  try {
    const body = { keyName: 'k', pubkey, vault, policy: port1, limits, relays: [] };
    return await thread.link.ask('activate', body, { transfer: [vault, port1] });
  } finally {
    port2.close();
  }
}

test('a blank thread that somebody waits for rehearses no further', async () => {
  const patient = start(true);
  const blanks = new Blanks(start, () => 1);
  blanks.fill();
  const taken = blanks.take();
  try {
    // Rehearsals take seconds with this backend: only without them is the one that was started later ready before.
    assert.is(await Promise.race([patient.ready.then(() => 'patient'), taken.then(() => 'taken')]), 'taken');
  } finally {
    await Promise.all([patient.end(), (await taken)!.end(), blanks.close()]);
  }
});

test('a thread that holds a key takes no other, and not the same again', () =>
  withThread(async (thread) => {
    assert.equal(await activate(thread, first), { ok: true });
    for (const pubkey of [second, first]) {
      assert.equal(await activate(thread, pubkey), { ok: false, refusal: 'this thread holds a key already' });
    }
  }));

test('a thread to which nothing is brought says so', () =>
  withThread(async (thread) => {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    const body = { keyName: 'k', pubkey: first, vault: port1, policy: new MessageChannel().port1, limits, relays: [] };
    const answer = await thread.link.ask('activate', body, { transfer: [body.vault, body.policy] });
    assert.equal(answer, { ok: false, refusal: UNANSWERED });
  }));

test('a key file that opens to another key than it says is damaged', () =>
  withThread(async (thread) => {
    assert.equal(await activate(thread, first, second), { ok: false, refusal: 'key file is damaged' });
  }));

test.run();
