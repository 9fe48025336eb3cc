/**
 * Resident memory of the daemon: idle; with 1, 50 and 200 active keys; with 10,000 keys unlocked and 32 of them active
 * while requests go to random ones. Against node with as many worker threads that do nothing.
 *
 *   npm run bench -- memory [--backends native,wasm] [--active 1,50,200] [--fleet 10000] [--rounds 5] [--quick]
 *
 * Every request to a random key is an activation; `--fleet-requests 20000` takes some twenty minutes.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { adminOf } from '../test/support/provision.ts';
import { Client } from './load/client.ts';
import { idle } from './load/cpu.ts';
import { rssOf, threadsOf } from './load/rss.ts';
import { inTurn, inTurnOf, publish, type Row, shown, spread } from './measure.ts';
import { benchOptions, numbers, words } from './options.ts';
import { startThreads } from './peers/threads.ts';
import { prepareInstallation } from './prepare/installation.ts';
import { startUnlocked } from './prepare/unlocked.ts';

const options = benchOptions(
  { backends: 'native,wasm', active: '1,50,200', fleet: '10000', 'fleet-requests': '3000', rounds: '5' },
  { active: '1,5', fleet: '50', 'fleet-requests': '100', rounds: '2' },
);
const IDLE_MIB = 130;
const FLEET_MIB = 500;
const FLEET_ACTIVE = 32;
/** Requests that are under way at once. */
const LANES = 4;
const PROGRESS = 1_000;
/** Until threads that are kept for a while have ended, and V8 has given back what it holds for more work. */
const REST_MS = 12_000;
/** Times an empty worker thread. */
const TARGETS: { [backend: string]: number } = { native: 1.6, wasm: 1.9 };
/** Requests to each key, so that its thread has done what it is there for. */
const REQUESTS = 50;

const rounds = Number(options.rounds);
const rows: Row[] = [];
const notes: string[] = [];
for (const backend of words(options.backends)) {
  for (const keys of numbers(options.active)) {
    console.error(`${backend}: ${keys} active`);
    const [ours, empty] = await inTurnOf(
      rounds,
      () => activeKeys(backend, keys),
      () => emptyThreads(keys),
    );
    const times = spread(ours.map((mib, i) => mib / empty[i]!));
    rows.push({ backend, what: `a key, ${keys} active`, MiB: spread(ours), 'an empty thread MiB': spread(empty) });
    const target = TARGETS[backend];
    if (target === undefined) continue;
    notes.push(
      `${backend}, ${keys} active: ${shown(times)} x an empty thread; target at most ${target} x: ${met(times.median <= target)}.`,
    );
  }
  const [atRest] = await inTurn([backend], rounds, idleDaemon);
  for (const [what, mib] of [
    ['idle, every key locked', spread(atRest!.map(({ locked }) => locked))],
    ['idle, one key unlocked', spread(atRest!.map(({ unlocked }) => unlocked))],
  ] as const) {
    rows.push({ backend, what, MiB: mib });
    notes.push(`${backend}, ${what}: target at most ${IDLE_MIB} MiB: ${met(mib.median <= IDLE_MIB)}.`);
  }
  const { mib, highest, threads, answered } = await fleet(backend, Number(options['fleet-requests']));
  rows.push({ backend, what: `${options.fleet} unlocked, ${FLEET_ACTIVE} active`, MiB: mib });
  notes.push(
    `${backend}, ${options.fleet} unlocked: ${answered} requests to random keys were all answered, with ${threads.before} threads before and ${threads.after} after, and ${shown(highest)} MiB right after the last; target at rest at most ${FLEET_MIB} MiB: ${met(mib <= FLEET_MIB)}.`,
  );
}
publish('memory', 'Resident memory, MiB', rows, { notes });

/** Resident MiB of a daemon that does nothing: with the key of its quickstart unlocked, and with that one locked. */
async function idleDaemon(backend: string): Promise<{ locked: number; unlocked: number }> {
  const { daemon } = await prepareInstallation({ keys: 0, env: { REDOUBT_CURVE: backend } });
  const rested = async () => {
    await daemon.start();
    await idle(daemon.pid);
    await sleep(REST_MS);
    return rssOf(daemon.pid);
  };
  try {
    const unlocked = await rested();
    const admin = await adminOf(daemon);
    await admin.result('lock_keys', []);
    admin.close();
    await daemon.stop();
    return { unlocked, locked: await rested() };
  } finally {
    await daemon.remove();
  }
}

/** MiB that one more active key takes. */
async function activeKeys(backend: string, keys: number): Promise<number> {
  const env = { REDOUBT_CURVE: backend, REDOUBT_MAX_ACTIVE_KEYS: String(keys + 1) };
  // As many blank threads are kept before and after: for the key of the quickstart and one more.
  const signer = await startUnlocked({ keys: keys + 1, logN: 14, env });
  try {
    await idle(signer.pid);
    // One key is less than what else comes and goes.
    if (keys === 1) await sleep(REST_MS);
    const before = rssOf(signer.pid);
    const clients = signer.clients.slice(0, keys)[Symbol.iterator]();
    const some = async () => {
      for (const bound of clients) await ask(new Client(bound), signer.relay, REQUESTS);
    };
    await Promise.all(Array.from({ length: LANES }, some));
    await idle(signer.pid);
    return (rssOf(signer.pid) - before) / keys;
  } finally {
    await signer.close();
  }
}

async function emptyThreads(count: number): Promise<number> {
  const one = await startThreads(0);
  const before = one.rss();
  one.close();
  const many = await startThreads(count);
  const mib = (many.rss() - before) / count;
  many.close();
  return mib;
}

async function fleet(
  backend: string,
  requests: number,
): Promise<{ mib: number; highest: number; threads: { before: number; after: number }; answered: number }> {
  const env = { REDOUBT_CURVE: backend, REDOUBT_MAX_ACTIVE_KEYS: String(FLEET_ACTIVE) };
  const signer = await startUnlocked({ keys: Number(options.fleet), logN: 14, env });
  try {
    let answered = 0;
    const some = async (requests: number) => {
      let left = requests;
      // A client hears every answer to it, on whichever connection it asked.
      const free = [...signer.clients];
      const lane = async () => {
        while (left-- > 0) {
          const [bound] = free.splice(Math.floor(Math.random() * free.length), 1);
          await ask(new Client(bound!), signer.relay, 1);
          free.push(bound!);
          if (++answered % PROGRESS === 0) console.error(`${answered} answered: ${shown(rssOf(signer.pid))} MiB`);
        }
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      await idle(signer.pid);
    };
    // As many as fill the room for active keys several times over.
    await some(Math.min(4 * FLEET_ACTIVE, requests));
    const before = threadsOf(signer.pid);
    await some(requests);
    const highest = rssOf(signer.pid);
    await sleep(REST_MS);
    return { mib: rssOf(signer.pid), highest, threads: { before, after: threadsOf(signer.pid) }, answered };
  } finally {
    await signer.close();
  }
}

async function ask(client: Client, relay: string, requests: number): Promise<void> {
  await client.open(relay);
  client.prepare(requests);
  await client.run(Math.min(requests, LANES));
  client.check();
  client.close();
}

function met(is: boolean): string {
  return is ? 'met' : 'missed';
}
