import type { MessagePort } from 'node:worker_threads';
import { systemClock } from '../actor/clock.ts';
import { Link, type PortLike } from '../actor/link.ts';
import { type Body, wipe } from '../actor/protocol.ts';
import { takeInSecret } from '../actor/secret-port.ts';
import type { Curve } from '../curve/curve.ts';
import { WRONG } from '../keystore/protocol.ts';
import { StageReporter } from '../metrics/stage-reporter.ts';
import { bytesToHex } from '../nip46/hex.ts';
import { KeyActor } from './actor.ts';
import { DAMAGED, type Opening, openFrom } from './opening.ts';
import { PolicyDoor } from './policy-door.ts';
import type { KeySettings, KeyToMain, MainToKey } from './protocol.ts';

/** What a thread may want to know of the key that it is to hold. */
export interface Blank {
  /** Somebody waits for it. */
  hurry(): void;
  /** It holds the key now. */
  activated(): void;
}

const unaware: Blank = { hurry: () => {}, activated: () => {} };

/** The key's side of a `KeyThread`: blank until `activate` makes it the actor of one key, for good. */
export function holdKey(port: PortLike, curve: Curve, blank = unaware): Link<KeyToMain, MainToKey> {
  let actor: KeyActor | undefined;
  let spent = false;
  /** They come right behind `activate`, and wait until the key is open. */
  let held: Body<MainToKey, 'event'>[] = [];
  /** May come while the key is still being opened. */
  let changed: KeySettings | undefined;
  const times = new StageReporter((report) => main.tell('times', { report }));

  const main = new Link<KeyToMain, MainToKey>(port, {
    hurry: () => blank.hurry(),
    activate: async ({ pubkey, vault, policy, limits, relays }) => {
      const opened = await open(vault, pubkey);
      // What is brought here was seen to open: it is not the passphrase that is wrong.
      if (!opened.ok) return { ok: false, refusal: opened.refusal === WRONG ? DAMAGED : opened.refusal };
      const { key, replayKey } = opened;
      const door = new PolicyDoor(systemClock, (ms) => times.observe('policy', ms));
      door.attach(policy);
      actor = new KeyActor(main, curve, key, replayKey, door, changed ?? { limits, relays }, systemClock, times);
      const first = held;
      held = [];
      for (const event of first) void actor.handle(event);
      blank.activated();
      return { ok: true };
    },
    check: async ({ pubkey, vault }) => {
      const opened = await open(vault, pubkey);
      if (!opened.ok) return opened;
      const own = bytesToHex(opened.key.publicKey);
      opened.key.wipe();
      wipe(opened.replayKey);
      return { ok: true, pubkey: own };
    },
    event: (event) => {
      // An exception in here is a bug: it ends the thread, and the supervisor starts the key again.
      if (actor === undefined) held.push(event);
      else void actor.handle(event);
    },
    introduce: async ({ client, secret: port }) => {
      const secret = await takeInSecret(port);
      if (secret === null) return null;
      try {
        return actor?.introduce(client, new TextDecoder().decode(secret)) ?? null;
      } finally {
        wipe(secret);
      }
    },
    authenticate: async ({ relay, challenge }) => (await actor?.authenticate(relay, challenge)) ?? null,
    settings: (settings) => {
      changed = settings;
      actor?.change(settings);
    },
    policy: ({ port }) => actor?.setPolicy(port),
    wipe: () => {
      actor?.wipe();
      times.flush();
      return null;
    },
  });
  return main;

  /** Opens what the vault has put on the port: once. @param pubkey whose it must be; '' any */
  async function open(vault: MessagePort, pubkey: string): Promise<Opening> {
    if (spent) return { ok: false, refusal: 'this thread holds a key already' };
    spent = true;
    return openFrom(vault, curve, pubkey);
  }
}
