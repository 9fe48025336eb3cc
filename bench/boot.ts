/**
 * From the start of the process to ready, with 1,000 keys and autounlock from a passphrase file, against node starting
 * an empty script.
 *
 *   npm run bench -- boot [--keys 1000] [--rounds 5] [--quick]
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inTurn, publish, shown, spread } from './measure.ts';
import { benchOptions } from './options.ts';
import { PASSPHRASE, prepareInstallation } from './prepare/installation.ts';

const options = benchOptions({ keys: '1000', rounds: '5' }, { keys: '10', rounds: '2' });
/** ms more than an empty script. */
const TARGET_MS = 3_000;
const { daemon, clients } = await prepareInstallation({ keys: Number(options.keys) });
try {
  const file = join(daemon.data, 'autounlock');
  writeFileSync(file, PASSPHRASE, { mode: 0o600 });
  const env = { NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: file };
  const boot = async () => {
    const before = performance.now();
    await daemon.start(env);
    const ms = performance.now() - before;
    const { keys } = (await (await fetch(daemon.quickstart.health_url)).json()) as { keys: { unlocked: number } };
    await daemon.stop();
    if (keys.unlocked < clients.length) throw new Error(`${keys.unlocked} of ${clients.length} keys were unlocked`);
    return ms;
  };
  const empty = async () => {
    const before = performance.now();
    spawnSync(process.execPath, ['-e', '']);
    return performance.now() - before;
  };
  const [booted, started] = await inTurn([boot, empty], Number(options.rounds), (take) => take());
  const more = spread(booted!.map((ms, i) => ms - started![i]!));
  const rows = [
    { what: `ready, ${clients.length} keys unlocked`, ms: spread(booted!) },
    { what: 'node with an empty script', ms: spread(started!) },
  ];
  const notes = [
    `${shown(more)} ms more; target at most ${TARGET_MS} ms: ${more.median <= TARGET_MS ? 'met' : 'missed'}.`,
  ];
  publish('boot', 'From the start of the process to ready, ms', rows, { notes });
} finally {
  await daemon.remove();
}
