/** Everything that goes wrong, one after the other at the daemon, and beside it at the relay and the clients. */
import type { Fault } from '../fault/faulty-key.ts';
import { lockDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import type { Surroundings } from './caller.ts';
import type { Mood } from './flaky-relay.ts';
import { type Installation, KEYS } from './installation.ts';

export interface Pace {
  /** ms between the end of one fault and the next, on an average */
  gap: number;
  /** ms for which relays are as they should not be */
  relay: number;
}

/** For a request that goes unanswered a client waits long (caller.ts): some of those must fit in. */
const BACK_MS = 60_000;

export class Faults {
  readonly #on: Installation;
  readonly #around: Surroundings;
  readonly #pace: Pace;
  /** What ends the daemon's run, and with it what is measured of it, has its time. */
  restarts = true;
  #going = true;

  constructor(on: Installation, around: Surroundings, pace: Pace) {
    this.#on = on;
    this.#around = around;
    this.#pace = pace;
  }

  /** Resolves when the fault that was under way is over, after `stop`. */
  async run(): Promise<void> {
    const { deck } = this.#around.random;
    const restarting = deck([() => this.#kill(), () => this.#lock(), () => this.#end(), () => this.#keyThread()]);
    const relays = deck([
      () => this.#relayDown(),
      ...(['dropping', 'duplicating', 'slow'] as const).map((mood) => () => this.#mood(mood)),
    ]);
    await Promise.all([
      this.#again(1, () => (this.restarts ? restarting()() : this.#lock())),
      this.#again(1, () => relays()()),
      this.#again(0.3, () => this.#vanish()),
    ]);
  }

  stop(): void {
    this.#going = false;
  }

  /** A daemon that is built, started anew; with this its last run begins. */
  async settle(): Promise<void> {
    this.restarts = false;
    await this.#atDaemon(async () => {
      if ((await this.#on.daemon.stop()) !== 0) this.#around.broken('SIGTERM did not end it with exit code 0');
      await this.#on.start();
    });
  }

  async #again(gaps: number, fault: () => Promise<void>): Promise<void> {
    while (this.#going) {
      await this.#wait(gaps * this.#pace.gap * this.#around.random.between(0.5, 1.5));
      if (this.#going) await fault();
    }
  }

  /** What disturbs at the daemon excludes each other, so that each is met by a daemon that serves. */
  #turn: Promise<void> = Promise.resolve();
  #atDaemon(fault: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(() => this.#around.disturbances.during('daemon', fault));
    return this.#turn;
  }

  #kill(): Promise<void> {
    return this.#atDaemon(async () => {
      if (!this.restarts) return;
      await this.#on.daemon.kill();
      this.#around.count('kills');
      await this.#on.start();
    });
  }

  #end(): Promise<void> {
    return this.#atDaemon(async () => {
      if (!this.restarts) return;
      if ((await this.#on.daemon.stop()) !== 0) this.#around.broken('SIGTERM did not end it with exit code 0');
      this.#around.count('stops');
      await this.#on.start();
    });
  }

  /** The built daemon has no door for it: another program of the same sources runs for a while. */
  #keyThread(): Promise<void> {
    return this.#atDaemon(async () => {
      if (!this.restarts) return;
      const { daemon } = this.#on;
      await daemon.stop();
      await this.#on.start('faulty');
      for (const fault of ['throw', 'exit'] satisfies Fault[]) {
        const key = this.#around.random.pick(KEYS);
        const printed = daemon.output.length;
        const { caller } = this.#on.clients.find((client) => client.key === key)!;
        const noticed = async () => {
          // Only a key that is active has a thread, and others may take its place meanwhile.
          await caller.ask('ping');
          daemon.child.send({ key, fault });
          await this.#wait(200);
          return daemon.output.slice(printed).includes('key actor crashed');
        };
        await until('it was noticed', noticed, BACK_MS);
        await until('it is back', async () => (await caller.ask('ping'))?.result === 'pong', BACK_MS);
        this.#around.count('key threads ended');
      }
      await daemon.kill();
      await this.#on.start();
    });
  }

  #lock(): Promise<void> {
    return this.#atDaemon(async () => {
      const unlock = lockDatabase(this.#on.daemon);
      await this.#wait(this.#around.random.between(1_000, 2_500));
      unlock();
      this.#around.count('locks of the database');
      await this.#on.healthy();
    });
  }

  async #relayDown(): Promise<void> {
    const { flaky } = this.#on;
    await this.#around.disturbances.during('outside', async () => {
      await flaky.stop();
      await this.#wait(this.#pace.relay);
      await flaky.start();
      this.#around.count('relay down and up');
      await this.#on.healthy();
    });
  }

  async #mood(mood: Exclude<Mood, 'well'>): Promise<void> {
    const { flaky } = this.#on;
    await this.#around.disturbances.during('outside', async () => {
      flaky.mood = mood;
      await this.#wait(this.#pace.relay);
      flaky.mood = 'well';
    });
    this.#around.count(`relay ${mood}`);
  }

  async #vanish(): Promise<void> {
    const { caller } = this.#around.random.pick(this.#on.clients);
    const left = ['ping', 'get_public_key'].map((method) => caller.ask(method));
    await this.#wait(this.#around.random.between(0, 20));
    await this.#around.disturbances.during(caller, async () => caller.vanish());
    this.#around.count('clients vanished');
    await Promise.all(left);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
}
