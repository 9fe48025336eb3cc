/** The live view, and the plain one where there is no terminal. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { StatusAnswer } from '../../src/cli/daemon-status.ts';
import { topView } from '../../src/cli/top-view.ts';
import { status } from '../http/daemon.ts';
import { isInstalled } from '../runner/lacks.ts';
import { runCli } from '../support/cli.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/until.ts';
import { install } from './installed.ts';
import { runMain } from './run.ts';

const daemon = new TestDaemon({ env: { REDOUBT_KEYSTORE_LOG_N: '14' } });
const ENTRY = fileURLToPath(new URL('../../dist/redoubt.js', import.meta.url));
test.after(() => daemon.remove());

const answer = (requests: { [outcome: string]: number }): StatusAnswer => ({
  ...status,
  requests,
  latency: { p50: 1.234, p95: 20.4, p99: 300 },
  schemaVersion: 3,
  audit: { writable: true, lastWrite: null, failure: null, rows: 9, waiting: 6 },
});

test('rates are what was counted between two looks', () => {
  const first = topView(answer({ allowed: 10 }), null, 2);
  assert.match(first, 'requests  -/s');
  const view = topView(answer({ allowed: 30, denied: 5 }), answer({ allowed: 10 }), 2);
  assert.match(view, 'requests  12.5/s');
  assert.match(view, /^allowed +30 +10\.0$/m);
  assert.match(view, /^denied +5 +2\.5$/m);
  assert.match(view, 'keys      5: 3 unlocked, 1 active, 2 locked');
  assert.match(view, 'latency   p50 1.2 ms, p95 20 ms, p99 300 ms');
  assert.match(view, 'waiting   4 for a key, 6 for a decision, 5 for a relay');
  assert.match(view, 'quarantined: broken (key file is damaged)');
  assert.match(view, 'unlocking 3 of 5 keys');
  assert.match(view, /wss:\/\/relay\.example.* degraded +250 ms +3 +slow/);
});

test('a daemon that was started anew has no negative rates', () => {
  assert.match(topView(answer({ allowed: 1 }), answer({ allowed: 100 }), 1), 'requests  0.0/s');
});

test('elsewhere than on a terminal: one plain view, or the status as JSON', async () => {
  await daemon.start();
  const args = ['top', '--interval', '0.1', '--data', daemon.data];
  const plain = await runCli(args);
  assert.equal([plain.code, plain.stderr], [0, '']);
  assert.is(plain.stdout.includes('\u001b'), false);
  assert.is(plain.stdout.match(/^redoubt /gm)?.length, 1);
  assert.match(plain.stdout, 'requests  0.0/s');
  const json = JSON.parse((await runCli([...args, '--count', '1', '--json'])).stdout) as StatusAnswer;
  assert.equal(json.queues, { keys: 0, publish: 0 });
  assert.is(json.audit.waiting, 0);
  const last = JSON.parse((await runCli([...args, '--count', '3', '--json'])).stdout) as StatusAnswer;
  assert.is(last.audit.waiting, 0, 'one document, however many looks');
  const thrice = await runCli([...args, '--count', '3']);
  assert.is(thrice.stdout.match(/^redoubt /gm)?.length, 2);
  for (const bad of [
    ['--interval', '0'],
    ['--count', '1.5'],
    ['--count', '0'],
  ]) {
    assert.is((await runCli([...args, ...bad])).code, 2, bad.join(' '));
  }
});

test('a signal ends it while the daemon does not answer', async () => {
  const { relay, data, remove } = await install();
  relay.fault = 'swallow';
  try {
    const ended = runMain(['top', '--data', data]);
    await until('it has asked', () => relay.received.length > 0);
    process.emit('SIGINT');
    assert.equal(await ended, { code: 0, out: '', err: '' });
  } finally {
    await remove();
  }
});

const terminal = isInstalled('script') ? test : test.skip;
terminal('on a terminal it redraws until it is told to stop, and gives the screen back', async () => {
  const command = ['exec', process.execPath, ENTRY, 'top', '--interval', '0.2', '--data', daemon.data].join(' ');
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    env: { PATH: process.env.PATH ?? '', TERM: 'xterm' },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let drawn = '';
  child.stdout.on('data', (chunk) => {
    drawn += chunk;
  });
  const ended = once(child, 'exit');
  await until('it has drawn thrice', () => drawn.split('\u001b[H').length > 3);
  child.stdin.write('\u0003');
  assert.is((await ended)[0], 0);
  assert.ok(drawn.startsWith('\u001b[?1049h'));
  assert.ok(drawn.trimEnd().endsWith('\u001b[?1049l'), JSON.stringify(drawn.slice(-40)));
});

test.run();
