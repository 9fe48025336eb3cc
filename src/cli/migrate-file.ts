import { Link } from '../actor/link.ts';
import { startThread } from '../actor/thread.ts';
import type { MainToPolicy, Outcome, PolicyOpenOptions, PolicyToMain } from '../policy/protocol.ts';
import { workerFile } from '../worker-files.ts';

/** The file is copied first, however large it is. */
const MIGRATE_MS = 3_600_000;

/** Migrates a database as a start does, in the thread of the policy actor, which then closes the file again. */
export async function migrateFile(options: PolicyOpenOptions): Promise<Outcome<null>> {
  const worker = startThread(workerFile('policy'), { name: 'policy' });
  worker.on('error', () => {});
  try {
    const link = new Link<MainToPolicy, PolicyToMain>(worker, {
      bound() {},
      forgetClients() {},
      clientRelaysChanged() {},
      times() {},
      log() {},
    });
    const opened = await link.ask('open', options, { timeoutMs: MIGRATE_MS });
    if (!opened.ok) return opened;
    await link.ask('close', null);
    return { ok: true, value: null };
  } finally {
    await worker.terminate();
  }
}
