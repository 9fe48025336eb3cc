import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** The next message of a child process. @throws Error when it ends instead */
export async function next(child: ChildProcess): Promise<unknown> {
  const ended = new AbortController();
  const dead = once(child, 'exit', { signal: ended.signal }).then(() => {
    throw new Error(`a process of the benchmark ended: ${child.spawnargs.slice(1).join(' ')}`);
  });
  dead.catch(() => {});
  try {
    const [message] = await Promise.race([once(child, 'message', { signal: ended.signal }), dead]);
    return message;
  } finally {
    ended.abort();
  }
}
