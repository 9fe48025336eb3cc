// deadline: 120 s
/** kill -9 under load, at moments of chance (signing-kill.ts). `REDOUBT_SIGNING_KILLS` says how many. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import { TestDaemon } from '../support/daemon.ts';
import { printFigures } from '../support/figures.ts';
import { killSigning } from './signing-kill.ts';

const KILLS = Number(process.env.REDOUBT_SIGNING_KILLS ?? 5);
/** How often the whole of the records is compared. */
const LOOKS = 25;

const daemon = new TestDaemon({
  env: {
    REDOUBT_KEYSTORE_LOG_N: '14',
    REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000',
    REDOUBT_LIMITS_STRANGERS_TOTAL: '1000',
    REDOUBT_LIMITS_CLIENT_RATE: '100000',
    REDOUBT_LIMITS_CLIENT_BURST: '100000',
  },
});
test.after(() => daemon.remove());

test(`${KILLS} kills: no counter lets one too many through, and no signature leaves unrecorded`, async () => {
  const killed = await killSigning(daemon, KILLS, Math.ceil(KILLS / LOOKS));
  printFigures('R4', killed);
  assert.is(killed.kills, KILLS);
  assert.ok(killed.seen > KILLS && killed.refused > 0);
});

test('audit verify is content, and names the row that was edited by hand', async () => {
  const ok = await runCli(['audit', 'verify', '--data', daemon.data, '--json']);
  assert.is(ok.code, 0, ok.stderr);
  assert.is(JSON.parse(ok.stdout).ok, true);

  const database = new Database(join(daemon.data, 'nsecbunker.db'));
  const row = database.prepare(`SELECT id FROM Log WHERE params LIKE '%"kind":1,%' LIMIT 1 OFFSET 7`).get() as {
    id: number;
  };
  database.prepare(`UPDATE Log SET params = replace(params, '"kind":1', '"kind":7') WHERE id = ?`).run(row.id);
  database.close();

  const bad = await runCli(['audit', 'verify', '--data', daemon.data, '--json']);
  assert.is(bad.code, 1);
  assert.is(JSON.parse(bad.stdout).ok, false);
  assert.match(bad.stdout + bad.stderr, new RegExp(`\\b${row.id}\\b`));
});

test.run();
