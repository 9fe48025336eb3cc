/** Takes the lock of each folder named, all at the given time (ms since the epoch), says how it went and waits. */
import { takeLock } from '../../src/lock.ts';

// One lock and its listener for each round.
process.setMaxListeners(0);
process.on('SIGTERM', () => process.exit(0));

const [at, ...folders] = process.argv.slice(2) as [string, ...string[]];
const outcomes = folders.map((folder, i) => {
  // Together with the other contenders, to the microsecond.
  const start = Number(at) + i * 10;
  while (performance.timeOrigin + performance.now() < start);
  const result = takeLock(folder);
  return result.ok ? 'taken' : result.refusal;
});
process.stdout.write(`${JSON.stringify(outcomes)}\n`);
setInterval(() => {}, 1000);
