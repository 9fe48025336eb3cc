import crypto from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Link } from '../../src/actor/link.ts';
import { handOn } from '../../src/keystore/passphrase-port.ts';
import type { UnlockerToVault } from '../../src/keystore/protocol.ts';
import { makeSlot } from '../../src/keystore/slot.ts';
import { unlock } from '../../src/keystore/unlock.ts';
import { bytes, LOG_N, random, sealed, temporaryFolder } from './setup.ts';

type Made = { input: Uint8Array; kek: Uint8Array };

/** Counts derivations while `work` runs, and keeps the memory that they worked with. */
async function derivations(work: () => Promise<void>): Promise<Made[]> {
  const { scryptSync } = crypto;
  const made: Made[] = [];
  crypto.scryptSync = ((input: Uint8Array, ...rest: [never, never, never]) => {
    const kek = scryptSync(input, ...rest);
    assert.ok(kek.some((byte) => byte !== 0) && input.some((byte) => byte !== 0));
    made.push({ input, kek });
    return kek;
  }) as typeof scryptSync;
  syncBuiltinESMExports();
  try {
    await work();
  } finally {
    crypto.scryptSync = scryptSync;
    syncBuiltinESMExports();
  }
  return made;
}

function keystoreOf(slots: { passphrase: string; keys: number }[]) {
  const keystore = join(temporaryFolder(), 'keystore');
  mkdirSync(keystore);
  const made = slots.map(({ passphrase, keys }) => ({ ...makeSlot(bytes(passphrase), LOG_N, random), keys }));
  writeFileSync(join(keystore, 'keystore.json'), JSON.stringify({ version: 1, slots: made.map(({ slot }) => slot) }));
  const names = made.flatMap(({ slot, kek, keys }) =>
    Array.from({ length: keys }, (_, i) => {
      const { file } = sealed(`${slot.id} ${i}`, slot, kek);
      writeFileSync(join(keystore, `${file.pubkey}.json`), JSON.stringify(file));
      return { name: file.name, pubkey: file.pubkey };
    }),
  );
  return { keystore, keys: names };
}

async function sweep(keystore: string, keys: { name: string; pubkey: string }[], passphrase: string) {
  const { port1, port2 } = new MessageChannel();
  let kept = 0;
  new Link<Record<never, never>, UnlockerToVault>(port1, {
    keep: () => {
      kept++;
      return null;
    },
    another: () => assert.unreachable() as never,
  });
  const port = handOn({ passphrase: bytes(passphrase) });
  const result = await unlock({
    ...{ op: 'unlock', keystore, maxLogN: LOG_N, keys, passphrase: port, timeoutMs: 1000, vault: port2 },
  } as never);
  port2.close();
  return { result, kept };
}

test('fifty keys with one passphrase cost one derivation', async () => {
  const { keystore, keys } = keystoreOf([{ passphrase: 'p', keys: 50 }]);
  const made = await derivations(async () => {
    const { result, kept } = await sweep(keystore, keys, 'p');
    assert.equal(result.failed, []);
    assert.is(result.unlocked.length, 50);
    assert.is(kept, 50);
  });
  assert.is(made.length, 1);
});

test('a sweep derives once for each slot, and overwrites passphrase and KEK', async () => {
  const { keystore, keys } = keystoreOf([
    { passphrase: 'p', keys: 5 },
    { passphrase: 'q', keys: 4 },
    { passphrase: 'p', keys: 3 },
  ]);
  const made = await derivations(async () => {
    const { result, kept } = await sweep(keystore, keys, 'p');
    assert.is(result.unlocked.length, 8);
    assert.is(kept, 8);
    assert.equal(
      result.failed.map(({ error }) => error),
      Array(4).fill('wrong passphrase'),
    );
  });
  assert.is(made.length, 3);
  for (const { input, kek } of made) {
    assert.ok(
      input.every((byte) => byte === 0),
      'a passphrase was left',
    );
    assert.ok(
      kek.every((byte) => byte === 0),
      'a KEK was left',
    );
  }
});

test.run();
