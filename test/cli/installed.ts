import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nip19 } from 'nostr-tools';
import { connectionString } from '../../src/admin/connection-string.ts';
import { makeStage, type Stage } from '../admin/stage.ts';
import { type FakeRelay, startRelay } from './fake-relay.ts';

export interface Installed {
  stage: Stage;
  relay: FakeRelay;
  data: string;
  remove(): Promise<void>;
}

/** A stage behind a relay, and the folder in which the command line finds where it is. */
export async function install(): Promise<Installed> {
  const stage = await makeStage();
  const relay = await startRelay(stage);
  const data = mkdtempSync(join(tmpdir(), 'redoubt-cli-'));
  writeFileSync(join(data, 'admin.nsec'), `${nip19.nsecEncode(stage.admin)}\n`);
  writeFileSync(join(data, 'connection.txt'), connectionString(stage.daemon, [relay.url]));
  const remove = async () => {
    await relay.close();
    await stage.end();
    rmSync(data, { recursive: true });
  };
  return { stage, relay, data, remove };
}
