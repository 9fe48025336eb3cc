// deadline: 240 s
/**
 * An LNbits host (test/clients/lnbits.ts) over a restart: every account's key is unlocked by the host, and its stored
 * client keys go on as if nothing had been.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { rows } from '../support/database.ts';

const ACCOUNTS = Number(process.env.REDOUBT_LNBITS_ACCOUNTS ?? 6);
const HOST = fileURLToPath(new URL('../clients/lnbits.ts', import.meta.url));

const daemon = new TestDaemon({ env: { REDOUBT_KEYSTORE_LOG_N: '14' } });
test.after(() => daemon.remove());

test(`${ACCOUNTS} accounts are provisioned, the daemon is killed, and all are used again without a connect`, async () => {
  await daemon.start();
  const args = [daemon.quickstart.connection_string, daemon.adminSecretKey(), String(ACCOUNTS)];
  const host = spawn(process.execPath, [HOST, ...args], { stdio: 'pipe' });
  let complaint = '';
  host.stderr.on('data', (chunk) => (complaint += chunk));
  const said: string[] = [];
  const lines = createInterface({ input: host.stdout });
  const ended = once(host, 'exit');
  lines.on('line', (line) => said.push(line));
  await Promise.race([once(lines, 'line'), ended]);
  assert.equal(said, ['provisioned'], complaint);

  await daemon.kill();
  await daemon.start();
  host.stdin.write('restarted\n');
  const [code] = await ended;
  assert.is(code, 0, complaint);
  const { accounts, policy } = JSON.parse(said[1]!) as { accounts: string[]; policy: number };
  assert.is(accounts.length, ACCOUNTS);

  const [{ policies }] = rows<{ policies: number }>(
    daemon,
    "SELECT count(*) AS policies FROM Policy WHERE name = 'lnbits-account'",
  ) as [{ policies: number }];
  assert.is(policies, 1, 'the policy was ensured once');
  const connects = rows<{ n: number }>(daemon, "SELECT count(*) AS n FROM Log WHERE method = 'connect'");
  assert.is(connects[0]!.n, ACCOUNTS, 'nobody connected a second time');
  const bound = rows(daemon, 'SELECT DISTINCT keyUserId FROM Token WHERE policyId = ? AND redeemedAt > 0', policy);
  assert.is(bound.length, ACCOUNTS);
});

test.run();
