import { once } from 'node:events';
import { join } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Link } from '../../src/actor/link.ts';
import { asSecret } from '../../src/actor/protocol.ts';
import { deriveUnsealingKey } from '../../src/keystore/derive.ts';
import type { MainToVault, UnlockerToVault, Unsealing, VaultToMain } from '../../src/keystore/protocol.ts';
import { release } from '../../src/keystore/release.ts';
import { Slab } from '../../src/keystore/slab.ts';
import { makeSlot } from '../../src/keystore/slot.ts';
import { Vault } from '../../src/keystore/vault.ts';
import { bytes, Custodian, LOG_N, passphrase, random, released, sealed } from './setup.ts';

const { slot, kek } = makeSlot(bytes('x'), LOG_N, random);

function unsealing(name: string): Unsealing {
  const { file } = sealed(name, slot, kek);
  return { sealed: file, slot, unsealingKey: deriveUnsealingKey(kek, file.pubkey) };
}

interface Ends {
  slab: Slab;
  main: Link<MainToVault, VaultToMain>;
  link: Link<UnlockerToVault, Record<never, never>>;
  closeUnlocker(): void;
}

/** Runs a test with a vault in this thread, the main thread's link to it, and an unlocker's. */
async function withVault(work: (ends: Ends) => Promise<void>): Promise<void> {
  const slab = new Slab();
  const { port1, port2 } = new MessageChannel();
  new Link<Record<never, never>, MainToVault>(port1, new Vault(slab).handlers);
  const main = new Link<MainToVault, VaultToMain>(port2, { log: () => {} });
  const port = await main.ask('intake', null);
  try {
    const closeUnlocker = () => port.close();
    await work({ slab, main, link: new Link<UnlockerToVault, Record<never, never>>(port, {}), closeUnlocker });
  } finally {
    port.close();
    port1.close();
  }
}

async function receive(port: MessagePort | null): Promise<Unsealing | null> {
  if (port === null) return null;
  const [message] = (await once(port, 'message')) as [Unsealing];
  port.close();
  return message;
}

async function closed(port: MessagePort): Promise<void> {
  port.start();
  await once(port, 'close');
}

test('what an unlocker brings is released as often as it is asked for, until it is forgotten', () =>
  withVault(async ({ main, link }) => {
    const [a, b] = [unsealing('a'), unsealing('b')];
    assert.is(await released(main, a.sealed.pubkey), null);
    await link.ask('keep', a);
    await link.ask('keep', b);
    for (let i = 0; i < 2; i++) assert.equal(await receive(await released(main, a.sealed.pubkey)), a);
    await main.ask('forget', { pubkey: a.sealed.pubkey });
    assert.is(await released(main, a.sealed.pubkey), null);
    assert.equal(await receive(await released(main, b.sealed.pubkey)), b);
    await main.ask('forget', { pubkey: 'unknown' });
  }));

test('a port for which the vault has nothing is closed, and so is one for a vault that is gone', () =>
  withVault(async ({ main }) => {
    const unknown = release(main, 'unknown');
    await closed(unknown.port);
    assert.is(await unknown.released, 'locked');

    main.close();
    const late = release(main, 'unknown');
    await closed(late.port);
    assert.is(await late.released, 'unavailable');
  }));

test('a vault that ends with the port in its hands closes it', async () => {
  const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
  const silent = new Link<MainToVault, VaultToMain>(worker, { log: () => {} });
  const { port, released } = release(silent, 'any');
  await once(worker, 'online');
  await Promise.all([closed(port), worker.terminate()]);
  assert.is(await released, 'unavailable');
});

test('forget and forgetAll overwrite the unsealing keys, and leave those of others', () =>
  withVault(async ({ slab, main, link }) => {
    const kept = [unsealing('a'), unsealing('b'), unsealing('c')];
    for (const each of kept) await link.ask('keep', each);
    const views = kept.map((_, place) => slab.view(place));
    assert.equal(
      views.map((view) => Buffer.from(view).toString('hex')),
      kept.map(({ unsealingKey }) => Buffer.from(unsealingKey).toString('hex')),
    );

    const zero = new Uint8Array(32);
    await main.ask('forget', { pubkey: kept[1]!.sealed.pubkey });
    assert.equal(views[1], zero);
    assert.equal(views[0], kept[0]!.unsealingKey);
    assert.equal(views[2], kept[2]!.unsealingKey);
    await main.ask('forgetAll', null);
    for (const view of views) assert.equal(view, zero);
    assert.is(await released(main, kept[0]!.sealed.pubkey), null);
  }));

test('a key that is brought again replaces what was there', () =>
  withVault(async ({ slab, main, link }) => {
    const first = unsealing('a');
    const second = { ...first, unsealingKey: asSecret(random(32)) };
    await link.ask('keep', first);
    await link.ask('keep', second);
    assert.equal((await receive(await released(main, first.sealed.pubkey)))!.unsealingKey, second.unsealingKey);
    assert.equal(slab.view(0), second.unsealingKey);
  }));

test('an unlocker gets one more port for each part of its work', () =>
  withVault(async ({ main, link, closeUnlocker }) => {
    const port = await link.ask('another', null);
    const another = new Link<UnlockerToVault, Record<never, never>>(port, {});
    closeUnlocker();
    const a = unsealing('a');
    await another.ask('keep', a);
    assert.equal(await receive(await released(main, a.sealed.pubkey)), a);
    port.close();
  }));

test('a slab keeps many secrets apart, and takes freed places again', () => {
  const slab = new Slab();
  const secrets = Array.from({ length: 3000 }, () => asSecret(random(32)));
  const places = secrets.map((secret) => slab.put(secret));
  assert.is(new Set(places).size, 3000);
  slab.remove(places[2000]!);
  const late = asSecret(random(32));
  assert.is(slab.put(late), places[2000]);
  secrets[2000] = late;
  for (const [i, secret] of secrets.entries()) assert.equal(slab.view(places[i]!), secret);
});

test('from the unlocker through the vault into the thread of a key, and the main thread reads none of it', async () => {
  const tap = tapMessages();
  const custodian = new Custodian();
  try {
    const pubkey = await custodian.created('k', passphrase('p'));
    const port = await released(custodian.vault, pubkey);
    const opener = new Worker(join(import.meta.dirname, 'opener.ts'));
    opener.postMessage(port, [port!]);
    const [opened] = (await once(opener, 'message')) as [string];
    assert.is(opened, pubkey);
    await opener.terminate();
    assert.not.ok(tap.seen.some(hasBytes), 'bytes in a message that the main thread read');

    // The tap itself: a secret that is read here on purpose is seen, from a worker and from a port.
    const seen = tap.seen.length;
    assert.ok(await receive(await released(custodian.vault, pubkey)));
    assert.ok(tap.seen.slice(seen).some(hasBytes), 'the tap sees nothing');
  } finally {
    tap.restore();
    await custodian.close();
  }
});

/** Notes every message that this thread reads from a port or a worker from now on. */
function tapMessages() {
  const seen: unknown[] = [];
  type Listener = (value: unknown) => void;
  type Target = { on(name: string, listener: Listener): unknown; once(name: string, listener: Listener): unknown };
  const { port1 } = new MessageChannel();
  port1.close();
  const targets = [Object.getPrototypeOf(port1), Worker.prototype] as Target[];
  const restore = targets.map((target) => {
    const { on, once } = target;
    const tapped = (listen: typeof on) =>
      function (this: Target, name: string, listener: Listener) {
        if (name !== 'message') return listen.call(this, name, listener);
        return listen.call(this, name, (value) => {
          seen.push(value);
          listener(value);
        });
      };
    target.on = tapped(on);
    target.once = tapped(once);
    return () => Object.assign(target, { on, once });
  });
  return { seen, restore: () => restore.map((undo) => undo()) };
}

function hasBytes(value: unknown): boolean {
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) return true;
  return typeof value === 'object' && value !== null && Object.values(value).some(hasBytes);
}

test.run();
