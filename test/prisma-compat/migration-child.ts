/** A policy actor that opens a database, and so adopts it, the moment that it is told to; killed meanwhile. */
import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Link } from '../../src/actor/link.ts';
import type { MainToPolicy, PolicyToMain } from '../../src/policy/protocol.ts';

const worker = new Worker(fileURLToPath(new URL('../../dist/workers/policy.cjs', import.meta.url)));
const policy = new Link<MainToPolicy, PolicyToMain>(worker, {
  bound() {},
  forgetClients() {},
  clientRelaysChanged() {},
  times() {},
  log() {},
});
// Answered, with an error, by an actor that has loaded.
await policy.ask('keys', null).catch(() => {});

process.on('message', async () => {
  const opened = await policy.ask('open', {
    databasePath: process.argv[2]!,
    maxClockSkew: 600,
    auditRetentionDays: 90,
    kindsNotInAll: null,
    askForStrangers: null,
    reserved: [],
    keysInKeystore: 5,
    allowEmptyDatabase: false,
  });
  writeSync(1, opened.ok ? 'adopted\n' : `${opened.refusal}\n`);
  process.exit(0);
});
writeSync(1, 'ready\n');
