import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { StatusAnswer } from './daemon-status.ts';
import { show } from './output.ts';
import { type Call, type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';
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
    .option('--count <n>', 'how many looks; without end on a terminal, 2 elsewhere', whole)
    .action((options: TopOptions) => withDaemon(options, (call) => watch(options, call)));
}

/** Until a signal ends it. Before the daemon is connected to, a signal ends the process: there is nothing to tidy up. */
async function watch(options: TopOptions, call: Call): Promise<void> {
  const live = process.stdout.isTTY && options.json !== true;
  const count = options.count ?? (live ? Number.POSITIVE_INFINITY : 2);
  const stop = new AbortController();
  const end = () => stop.abort();
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  if (live) process.stdout.write(ENTER);
  try {
    await look({ ...options, count, live, signal: AbortSignal.any([stop.signal, outputLost]) }, call);
  } finally {
    if (live) process.stdout.write(LEAVE);
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
  }
}

interface Looking {
  interval: number;
  count: number;
  live: boolean;
  json?: boolean;
  signal: AbortSignal;
}

async function look({ interval, count, live, json, signal }: Looking, call: Call): Promise<void> {
  let before: { status: StatusAnswer; at: number } | null = null;
  for (let looks = 1; !signal.aborted; looks++) {
    const answer = await unlessAborted(call('get_status'), signal);
    if (answer === null) return;
    const status = JSON.parse(answer) as StatusAnswer;
    const at = performance.now();
    const seconds = before === null ? interval : (at - before.at) / 1000;
    const text = topView(status, before?.status ?? null, seconds);
    if (live) process.stdout.write(`${HOME}${text.replaceAll('\n', `${CLEAR_LINE}\n`)}${CLEAR_LINE}\n${CLEAR_BELOW}`);
    else if (isShown(looks, count, json)) show({ data: status, text: looks > 2 ? `\n${text}` : text }, json);
    if (looks >= count) return;
    before = { status, at };
    await sleep(interval * 1000, null, { signal }).catch(() => {});
  }
}

/** Elsewhere than on a terminal: one document, the last; as text all but the first, which the others are measured against. */
function isShown(looks: number, count: number, json: boolean | undefined): boolean {
  return json === true ? looks === count : looks > 1 || count === 1;
}

/** Null when the signal came first. */
async function unlessAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  const end = () => resolve(null);
  signal.addEventListener('abort', end);
  try {
    return await Promise.race([result, promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

function positive(text: string): number {
  const number = Number(text);
  if (number > 0 && number < 1e6) return number;
  throw new InvalidArgumentError('a number above 0 is expected.');
}

function whole(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a whole number above 0 is expected.');
}
