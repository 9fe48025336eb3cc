/** What a daemon counts, as /metrics tells it. */
import type { TestDaemon } from './daemon.ts';

/** The whole text of /metrics. */
export async function scrape(daemon: TestDaemon): Promise<string> {
  return (await fetch(new URL('/metrics', daemon.quickstart.health_url))).text();
}

/** Events that were not answered, for this reason. */
export async function dropped(daemon: TestDaemon, reason: string): Promise<number> {
  return metric(daemon, `redoubt_dropped_total{reason="${reason}"}`);
}

/** The value of one series, as its line begins; 0 when there is none. */
export async function metric(daemon: TestDaemon, series: string): Promise<number> {
  const lines = (await scrape(daemon)).split('\n');
  const line = lines.find((line) => line.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.split(' ').at(-1));
}
