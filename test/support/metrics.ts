/** What a daemon counts, as /metrics tells it. */
import type { TestDaemon } from './daemon.ts';

/** Events that were not answered, for this reason. */
export async function dropped(daemon: TestDaemon, reason: string): Promise<number> {
  const response = await fetch(new URL('/metrics', daemon.quickstart.health_url));
  const line = (await response.text())
    .split('\n')
    .find((line) => line.startsWith(`redoubt_dropped_total{reason="${reason}"}`));
  return line === undefined ? 0 : Number(line.split(' ').at(-1));
}
