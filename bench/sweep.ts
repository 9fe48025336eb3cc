/**
 * unlock_keys over the admin RPC: 1, 100 and 1,000 keys under one passphrase, against one derivation by itself; 16 keys
 * under 16 salts, against 16 derivations shared by the cores.
 *
 *   npm run bench -- sweep [--keys 1,100,1000] [--salts 16] [--rounds 5] [--quick]
 */
import { scryptSync } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { inTurn, publish, type Row, ratio, type Spread, shown, spread } from './measure.ts';
import { benchOptions, numbers } from './options.ts';
import { type Installation, prepareInstallation } from './prepare/installation.ts';
import { sweep } from './prepare/unlocked.ts';

const options = benchOptions(
  { keys: '1,100,1000', salts: '16', rounds: '5' },
  { keys: '1,20', salts: '2', rounds: '2' },
);
/** ms that a sweep may take beside its one derivation. */
const TARGET_MS = 1_000;
const TARGET_SALTS = 1.2;
const cores = availableParallelism();
const rows: Row[] = [];
const notes = [
  'A derivation is scrypt with N = 2^17, r = 8, p = 1, on one thread with nothing else; a sweep is timed from the request to the answer, relay, admin actor and subscriptions with it.',
];

for (const keys of numbers(options.keys)) {
  const [swept, derived] = await measure({ keys });
  const beside = swept.map((ms, i) => ms - derived[i]!);
  record(`${keys} under one passphrase`, swept, derived, spread(beside));
  const met = spread(beside).median <= TARGET_MS ? 'met' : 'missed';
  notes.push(`${keys} keys: one derivation + ${shown(spread(beside))} ms; target at most + ${TARGET_MS} ms: ${met}.`);
}
const salts = Number(options.salts);
const [swept, derived] = await measure({ keys: salts, slots: salts });
const shares = derived.map((ms) => (ms * salts) / cores);
const times = ratio(swept, shares);
record(`${salts} under ${salts} salts`, swept, derived, spread(swept.map((ms, i) => ms - shares[i]!)));
notes.push(
  `${salts} salts: ${shown(times)} x ${salts} derivations / ${cores} cores; target at most ${TARGET_SALTS} x: ${times.median <= TARGET_SALTS ? 'met' : 'missed'}.`,
);
publish('sweep', 'unlock_keys, ms, against scrypt by itself', rows, { notes });

async function measure(wanted: { keys: number; slots?: number }): Promise<[number[], number[]]> {
  const installation = await prepareInstallation(wanted);
  try {
    const samples = await inTurn([() => restartAndSweep(installation), derivation], Number(options.rounds), (take) =>
      take(),
    );
    return samples as [number[], number[]];
  } finally {
    await installation.daemon.remove();
  }
}

/** A new process: what was unlocked before is locked again. */
async function restartAndSweep(installation: Installation): Promise<number> {
  await installation.daemon.start();
  const ms = await sweep(installation);
  await installation.daemon.stop();
  return ms;
}

async function derivation(): Promise<number> {
  const before = performance.now();
  scryptSync('a passphrase', 'a salt of some length, 32 bytes.', 32, { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 });
  return performance.now() - before;
}

function record(keys: string, ms: number[], derivationMs: number[], beside: Spread): void {
  rows.push({ keys, ms: spread(ms), 'one derivation ms': spread(derivationMs), 'beside its derivations ms': beside });
}
