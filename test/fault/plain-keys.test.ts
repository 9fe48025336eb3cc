/** A vault that was restarted holds the unencrypted keys of nsecbunker.json again, without anybody's doing. */
import { fileURLToPath } from 'node:url';
import { verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import { AdoptedDaemon } from '../support/adopted.ts';
import { until } from '../support/until.ts';
import type { Order } from './faulty-daemon.ts';

const daemon = new AdoptedDaemon(fileURLToPath(new URL('faulty-daemon.ts', import.meta.url)));
test.after(() => daemon.remove());

test('after a crash of the vault a key that needs no passphrase is opened at its first request', async () => {
  await daemon.start();
  daemon.child.send({ terminate: 'vault' } satisfies Order);
  await until('the crash is told', () => daemon.output.includes('the vault actor crashed'));
  const template = JSON.stringify({ kind: 1, content: 'x', tags: [], created_at: Math.floor(Date.now() / 1000) });
  const client = await daemon.client('manual', 'alice@example.com');
  // What arrives while there is no vault is dropped, as a client knows it from a relay that is down.
  await until('it signs', async () => {
    const answer = await client.call('sign_event', [template], { timeoutMs: 1_000 }).catch(() => null);
    return answer !== null && answer.error === undefined && verifyEvent(JSON.parse(answer.result));
  });
  client.close();
});

test.run();
