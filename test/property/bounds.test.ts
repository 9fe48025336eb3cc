/**
 * One below each bound, the bound itself, and one above it. Sizes are looked at before anything is parsed or
 * allocated for them; that the values around the bounds are told apart is what shows here.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ADMIN } from './bounds/admin.ts';
import { FILES } from './bounds/files.ts';
import { RELAY } from './bounds/relay.ts';
import { REQUESTS } from './bounds/requests.ts';

const bounds = [...RELAY.bounds, ...REQUESTS, ...ADMIN, ...FILES];
const figures = { bounds: 0, values: 0, names: [] as string[] };

for (const { what, limit, passes, least } of bounds) {
  test(`${what}: ${limit}`, async () => {
    const around: [size: number, passes: boolean][] = [
      [limit - 1, least !== true],
      [limit, true],
      [limit + 1, least === true],
    ];
    for (const [size, expected] of around) {
      assert.is(await passes(size), expected, `${size}`);
      figures.values++;
    }
    figures.bounds++;
    figures.names.push(what);
  });
}

test.after(async () => {
  await RELAY.close();
  console.log(`R13 ${JSON.stringify(figures)}`);
});

test.run();
