/** A process that does nothing but the least that a request costs: `main.ts BACKEND WARM SECONDS`. */
import type { CurveName } from '../../src/curve/curve.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { Work } from './work.ts';

const [backend, warm, seconds] = process.argv.slice(2);
const work = new Work(await loadCurve(backend as CurveName));
for (let i = 0; i < Number(warm); i++) work.answer(i);
const speed = work.sample(20).wall;
const count = Math.max(20, Math.ceil((Number(seconds) * 1e6) / speed));
process.on('message', () => process.send!(work.sample(count)));
process.on('disconnect', () => process.exit());
process.send!('warm');
