/** What systemd hears. test/acceptance/stop.test.ts has the daemon say it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadLibc } from '../../src/host/libc.ts';
import { Notify } from '../../src/host/notify.ts';
import { isInstalled } from '../runner/lacks.ts';
import { DatagramListener } from '../support/datagram-listener.ts';
import { until } from '../support/until.ts';

const python = isInstalled('python3') ? test : test.skip;

test('where nobody listens there is nobody to tell', () => {
  assert.is(Notify.from({ NOTIFY_SOCKET: '' }, 1, loadLibc()), null);
});

test('what cannot be told is said', () => {
  const from = (path: string) => Notify.from({ NOTIFY_SOCKET: path }, 1, null);
  assert.match(String(from('/run/systemd/notify')), 'koffi does not load here');
  assert.match(String(from('relative')), 'is no path of a unix socket');
  assert.match(String(from(`/${'x'.repeat(120)}`)), 'is no path of a unix socket');
});

python('a name in the abstract namespace; a watchdog that is meant for another process is none of ours', async () => {
  const name = `@redoubt-${crypto.randomUUID()}`;
  const listener = await new DatagramListener(name).start();
  try {
    const watchdog = { WATCHDOG_USEC: '20000' };
    const other = Notify.from({ NOTIFY_SOCKET: name, ...watchdog, WATCHDOG_PID: '1' }, process.pid, loadLibc());
    assert.ok(other instanceof Notify);
    other.ready();
    await until('it is heard', () => listener.heard.includes('READY=1'));
    other.stopping();
    await until('the stop is heard', () => listener.heard.includes('STOPPING=1'));
    assert.not.match(listener.heard, 'WATCHDOG');
    const own = Notify.from(
      { NOTIFY_SOCKET: name, ...watchdog, WATCHDOG_PID: String(process.pid) },
      process.pid,
      loadLibc(),
    );
    assert.ok(own instanceof Notify);
    own.ready();
    await until('signs of life are heard', () => listener.heard.includes('WATCHDOG=1'));
    own.stopping();
  } finally {
    await listener.stop();
  }
});

test('a manager that went away is no fault', () => {
  const notify = Notify.from({ NOTIFY_SOCKET: '/nonexistent/socket' }, process.pid, loadLibc());
  assert.ok(notify instanceof Notify);
  notify.ready();
  notify.stopping();
});

test.run();
