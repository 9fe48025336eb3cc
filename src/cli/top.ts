import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { StatusAnswer } from './daemon-status.ts';
import { show } from './output.ts';
import { type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';
import { outputLost } from './standard-output.ts';
import { topView } from './top-view.ts';

interface TopOptions extends RemoteOptions {
  /** s */
  interval: number;
  count?: number;
}

/** Cursor home; what is left of each line, and below the last one, is erased (ECMA-48). */
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';
/** A screen of its own without a cursor, so that what was there comes back at the end. */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';

/** `redoubt top`: drawn again and again on a terminal, one view after the other elsewhere. */
export function topCommand(): Command {
  return remoteCommand('top', 'the daemon at work: keys, requests a second, latency, relays, queues')
    .option('--interval <s>', 'seconds between two looks', positive, 2)
    .option('--count <n>', 'how many looks; without end on a terminal, 2 elsewhere', positive)
    .action(async (options: TopOptions) => {
      const live = process.stdout.isTTY && !options.json;
      const count = options.count ?? (live ? Number.POSITIVE_INFINITY : 2);
      const stop = new AbortController();
      const end = () => stop.abort();
      process.once('SIGINT', end);
      process.once('SIGTERM', end);
      if (live) process.stdout.write(ENTER);
      try {
        await withDaemon(options, (call) =>
          look({ ...options, count, live, signal: AbortSignal.any([stop.signal, outputLost]) }, call),
        );
      } finally {
        if (live) process.stdout.write(LEAVE);
        process.off('SIGINT', end);
        process.off('SIGTERM', end);
      }
    });
}

interface Looking {
  interval: number;
  count: number;
  live: boolean;
  json?: boolean;
  signal: AbortSignal;
}

async function look(
  { interval, count, live, json, signal }: Looking,
  call: (method: string) => Promise<string>,
): Promise<void> {
  let before: { status: StatusAnswer; at: number } | null = null;
  for (let looks = 1; !signal.aborted; looks++) {
    const status = JSON.parse(await call('get_status')) as StatusAnswer;
    const at = performance.now();
    const seconds = before === null ? interval : (at - before.at) / 1000;
    const text = topView(status, before?.status ?? null, seconds);
    // Elsewhere than on a terminal the first look only tells what the next ones are measured against.
    if (live) process.stdout.write(`${HOME}${text.replaceAll('\n', `${CLEAR_LINE}\n`)}${CLEAR_LINE}\n${CLEAR_BELOW}`);
    else if (looks > 1 || count === 1) show({ data: status, text: looks > 2 ? `\n${text}` : text }, json);
    if (looks >= count) return;
    before = { status, at };
    await sleep(interval * 1000, null, { signal }).catch(() => {});
  }
}

function positive(text: string): number {
  const number = Number(text);
  if (number > 0 && number < 1e6) return number;
  throw new InvalidArgumentError('a number above 0 is expected.');
}
