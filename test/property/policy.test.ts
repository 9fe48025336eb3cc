/**
 * R18: random sequences of actions against a naive evaluator, shrunk to the shortest one that differs.
 * `REDOUBT_SEQUENCES` raises their number, `REDOUBT_SEED` repeats one.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import { sequence } from './policy-actions.ts';
import { House } from './policy-house.ts';
import { Sequence } from './policy-sequence.ts';

const SEQUENCES = Number(process.env.REDOUBT_SEQUENCES ?? 600);
const SEED = process.env.REDOUBT_SEED === undefined ? {} : { seed: Number(process.env.REDOUBT_SEED) };
/** A database has the rows of so many. */
const IN_ONE_HOUSE = 1000;

test(`${SEQUENCES} random sequences: every answer, count and row as the page says`, async () => {
  const figures = { sequences: 0, actions: 0, answers: 0, rows: 0, restarts: 0 };
  const seen: { [answer: string]: number } = {};
  let house = await House.open(true);
  const property = fc.asyncProperty(sequence, async (steps) => {
    if (figures.sequences++ % IN_ONE_HOUSE === IN_ONE_HOUSE - 1) {
      const askForStrangers = !house.askForStrangers;
      await house.close();
      house = await House.open(askForStrangers);
    }
    const one = new Sequence(house);
    for (const step of steps) {
      await one.apply(step);
      if (step.do === 'restart') figures.restarts++;
    }
    one.settle();
    figures.actions += steps.length;
    figures.rows += one.naive.rows.length;
    for (const [answer, times] of Object.entries(one.seen)) {
      seen[answer] = (seen[answer] ?? 0) + times;
      figures.answers += times;
    }
  });
  await fc.assert(property, { numRuns: SEQUENCES, ...SEED, includeErrorInReport: true });
  await house.close();
  console.log(`R18 ${JSON.stringify({ ...figures, differences: 0, answersOfEachKind: seen })}`);
});

test.run();
