import { fork } from 'node:child_process';
import { join } from 'node:path';
import { next } from '../load/next.ts';
import { rssOf } from '../load/rss.ts';

/** A node process with so many worker threads that do nothing. */
export async function startThreads(count: number): Promise<{ rss(): number; close(): void }> {
  const child = fork(join(import.meta.dirname, 'threads-main.ts'), [String(count)]);
  await next(child);
  return { rss: () => rssOf(child.pid!), close: () => void child.kill() };
}
