import { MessageChannel } from 'node:worker_threads';
import type { Clock } from './actor/clock.ts';
import type { Link } from './actor/link.ts';
import { Supervised } from './actor/supervised.ts';
import { startThread } from './actor/thread.ts';
import { AdminGate, gateHandlers } from './admin/gate.ts';
import type { AdminOpened, AdminToMain, MainToAdmin, RedactedConfig } from './admin/protocol.ts';
import { adminSettings } from './admin/settings.ts';
import type { Config } from './config.ts';
import { chooseCurve } from './curve/choose.ts';
import type { CurveName } from './curve/curve.ts';
import { Autounlock } from './key/autounlock.ts';
import { Blanks } from './key/blanks.ts';
import { Custody } from './key/custody.ts';
import { Introductions, introductionHandlers } from './key/introductions.ts';
import { Keys } from './key/keys.ts';
import { requestLine } from './key/request-line.ts';
import { responseHead } from './key/response-head.ts';
import { keySettings } from './key/settings.ts';
import { Strangers } from './key/strangers.ts';
import { KeyThread } from './key/thread.ts';
import { UnlockPool } from './keystore/pool.ts';
import type { AutounlockInspection, MainToVault, VaultToMain } from './keystore/protocol.ts';
import { release } from './keystore/release.ts';
import type { StageReport } from './metrics/stage-times.ts';
import { VerifyPool } from './nip46/verify-pool.ts';
import { Overview } from './overview.ts';
import { policyOptions } from './policy/open-options.ts';
import type { LogLine, MainToPolicy, PolicyToMain } from './policy/protocol.ts';
import { advertisedRelays } from './relay/advertised.ts';
import type { ClientRelays } from './relay/client-relays.ts';
import { connectedRelays } from './relay/connected.ts';
import type { EmbeddedRelay } from './relay/embedded.ts';
import { notListening } from './relay/embedded-of.ts';
import { makeRelays } from './relay/make-relays.ts';
import type { Incoming } from './relay/protocol.ts';
import { relaysReady } from './relay/ready.ts';
import type { Relays } from './relay/relays.ts';
import { adminSubscriptions, CLIENT_KIND, clientSubscriptions } from './relay/subscriptions.ts';
import type { SignerOptions } from './signer-options.ts';
import { EX_CONFIG, StartRefusal } from './start-refusal.ts';
import { workerFile } from './worker-files.ts';

const HUNG_CHECK_MS = 1_000;
/** A database that is adopted is copied first, however large it is. */
const OPEN_MS = 3_600_000;
/** On a disk that stands still the last transaction never ends; whoever stops us (systemd: 15 s) is not to lose patience. */
const CLOSE_MS = 5_000;
/** A sweep of many keys would have these two take as much for what lives shortly, and they keep it while they idle. */
const YOUNG_MIB: { [actor: string]: number } = { admin: 6, vault: 3 };

/**
 * The actors of one daemon and the links between them. The main thread runs this: it moves ciphertext, names, public
 * keys and ports, and holds no secret.
 */
export class Signer {
  readonly #options: SignerOptions;
  readonly #clock: Clock;
  /** How it is, for health, metrics and get_status. */
  readonly overview: Overview;
  readonly #admin: Supervised<MainToAdmin, AdminToMain>;
  readonly #policy: Supervised<MainToPolicy, PolicyToMain>;
  readonly #vault: Supervised<MainToVault, VaultToMain>;
  readonly #verify = new VerifyPool(workerFile('verify'));
  #opened!: Extract<AdminOpened, { ok: true }>;
  #config!: Config;
  #schemaVersion = 0;
  #keysAtRest = 0;
  #curve!: CurveName;
  #unlockers!: UnlockPool;
  #blanks!: Blanks;
  #relays!: Relays;
  #adminGate!: AdminGate;
  #embedded: EmbeddedRelay | undefined;
  #strangers!: Strangers;
  #keys!: Keys;
  #custody!: Custody;
  #clientRelays!: ClientRelays;
  #introductions!: Introductions;
  #autounlock!: Autounlock;
  #hungTimer: NodeJS.Timeout | undefined;
  /** Set by `start`: resolves when client requests are taken, which is when autounlock is done. */
  requestsTaken: Promise<void> = Promise.resolve();

  constructor(options: SignerOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.overview = new Overview({
      clock: options.clock,
      started: options.clock.mono(),
      metrics: options.metrics,
      keys: () => this.#keys,
      relays: () => this.#relays,
      clientRelays: () => this.#clientRelays,
      policy: () => this.#policy.link,
      curve: () => this.#curve,
      schemaVersion: () => this.#schemaVersion,
      autounlock: () => this.#autounlock.state(),
      lostKeys: () => this.#custody.lost.reason(),
    });
    this.#admin = this.#superviseAdmin();
    this.#policy = this.#supervisePolicy();
    this.#vault = this.#superviseVault();
  }

  /** The configuration without its secrets, as the admin actor read it. @throws StartRefusal */
  async openConfiguration(): Promise<RedactedConfig> {
    await this.#admin.start();
    return this.#opened.config;
  }

  /** Starts everything else; admin requests are taken when it resolves. @throws StartRefusal */
  async start(config: Config): Promise<void> {
    this.#config = config;
    this.#curve = await chooseCurve(this.#verify, config.curve, this.#options.log);
    this.#unlockers = new UnlockPool({ filename: workerFile('unlock'), curve: this.#curve });
    const keystore = await this.#unlockers.prepare(config.keystore.dir);
    if (!keystore.ok) throw new StartRefusal(keystore.refusal, 1);
    this.#keysAtRest = keystore.keys;
    const autounlock = await this.#unlockers.inspect(this.#options.autounlock);
    if (!autounlock.ok) throw new StartRefusal(autounlock.refusal, EX_CONFIG);
    for (const warning of autounlock.warnings) this.#from('main')({ level: 'warn', message: warning, fields: {} });
    await this.#policy.start();
    await this.#vault.start();
    this.#makeKeys(autounlock);
    await this.#custody.begin();
    await this.#autounlock.prepare();
    await this.#makeRelays();
    // The embedded relay's URL is known by now.
    this.#keys.reconfigure(keySettings(this.#config, this.advertised));
    this.#introduceAdminToPolicy();
    // connection.txt is there when the daemon says that it is ready.
    await this.#tellActors();
    await this.#introductions.refresh();
    await this.#resubscribe();
    this.#hungTimer = setInterval(() => this.#keys.checkHung(this.#clock.mono()), HUNG_CHECK_MS);
    this.requestsTaken = this.#autounlock.start();
  }

  get admin(): Link<MainToAdmin, AdminToMain> {
    return this.#admin.link;
  }

  get daemonPubkey(): string {
    return this.#opened.daemonPubkey;
  }

  /** URL of the embedded relay, when it listens. */
  get embeddedUrl(): string | null {
    return this.#embedded?.url ?? null;
  }

  /** Relays in bunker URLs: the configured ones; the embedded relay only when there is no other. */
  get advertised(): string[] {
    return advertisedRelays(this.#config, this.embeddedUrl);
  }

  /** Takes no more requests, finishes those in flight (up to `ms`), then ends every actor, secrets first overwritten. */
  async stop(ms: number): Promise<void> {
    clearInterval(this.#hungTimer);
    const until = this.#clock.mono() + ms;
    this.#admin.link?.tell('stopAsking', null);
    await this.#keys?.drain(ms);
    await this.#keys?.lockAll();
    await this.#blanks?.close();
    await this.#vault.link?.ask('forgetAll', null).catch(() => {});
    await this.#policy.link?.ask('close', null, { timeoutMs: CLOSE_MS }).catch(() => {});
    await this.#admin.link?.ask('close', null).catch(() => {});
    const left = until - this.#clock.mono();
    await Promise.all([this.#relays?.drain(left), this.#clientRelays?.drain(left)]);
    this.#clientRelays?.close();
    await this.#relays?.close();
    await Promise.all([this.#vault.stop(), this.#policy.stop(), this.#admin.stop()]);
    await Promise.all([this.#unlockers?.close(), this.#verify.close()]);
  }

  /** Puts in force what may change while it runs. Why it does not, or null. */
  async apply(config: Config): Promise<string | null> {
    // Said before the keys are looked at: one that is being made meanwhile is refused, or it is among them.
    void this.#tellActors([...this.#reserved, ...config.admins]);
    const refusal = await this.#custody.reservedHere(config.admins);
    if (refusal === null) {
      this.#config = config;
      this.#relays.setRelays(connectedRelays(config));
      this.#strangers.setRates(config.limits.strangersPerKey, config.limits.strangersTotal);
      this.#keys.reconfigure(keySettings(config, this.advertised));
      void this.#resubscribe();
    }
    void this.#tellActors();
    return refusal;
  }

  // --- actors ---

  #superviseAdmin(): Supervised<MainToAdmin, AdminToMain> {
    return new Supervised<MainToAdmin, AdminToMain>({
      ...this.#single('admin'),
      handlers: {
        ...gateHandlers(() => this.#adminGate),
        createKey: ({ name, port, ...wanted }) => this.#custody.create(name, { port }, wanted),
        changePassphrase: ({ name, port }) => this.#custody.change(name, { port }),
        purgeKey: ({ name, pubkey }) => this.#custody.purge(name, pubkey),
        unlockKeys: ({ names, source }) => this.#custody.unlock(names, source),
        lockKeys: (wanted) => this.#autounlock.lock(wanted),
        unlocked: () => this.#keys.unlocked(),
        ...introductionHandlers(() => this.#introductions),
        status: () => this.overview.status(),
        log: this.#from('admin'),
      },
      up: async (link) => {
        const { configPath, quickstart, curve } = this.#options;
        const opened = await link.ask('open', { configPath, quickstart, curve });
        if (!opened.ok) throw new StartRefusal(opened.refusal, opened.exitCode);
        this.#opened = opened;
        if (this.#adminGate === undefined) return;
        this.#adminGate.forget();
        this.#introduceAdminToPolicy();
        void this.#tellActors();
      },
    });
  }

  #supervisePolicy(): Supervised<MainToPolicy, PolicyToMain> {
    return new Supervised<MainToPolicy, PolicyToMain>({
      ...this.#single('policy'),
      handlers: {
        bound: ({ keyName, client }) => this.#keys?.bound(keyName, client),
        forgetClients: () => this.#keys?.forgetClients(),
        clientRelaysChanged: () => void this.#introductions?.refresh(),
        times: ({ report }) => this.#options.metrics.times.add(report),
        log: this.#from('policy'),
      },
      up: async (link) => {
        const opened = await link.ask('open', this.#openOptions(), { timeoutMs: OPEN_MS });
        if (!opened.ok) throw new StartRefusal(opened.refusal, 1);
        this.#schemaVersion = opened.schemaVersion;
        if (this.#keys === undefined) return;
        this.#introduceAdminToPolicy();
        this.#keys.reattachPolicy();
        void this.#tellActors();
      },
    });
  }

  #superviseVault(): Supervised<MainToVault, VaultToMain> {
    return new Supervised<MainToVault, VaultToMain>({
      ...this.#single('vault'),
      handlers: { log: this.#from('vault') },
      up: async (link) => {
        // Answered by a vault that is there; what an earlier one held is gone with its thread.
        await link.ask('forgetAll', null);
        void this.#autounlock?.vaultRestarted();
      },
    });
  }

  /** What all actors of which there is one have in common. */
  #single(name: 'admin' | 'policy' | 'vault') {
    return {
      name,
      clock: this.#clock,
      start: () => startThread(workerFile(name), { name, youngGenerationMb: YOUNG_MIB[name] }),
      down: (reason: string, delayMs: number | null) => this.#crashed(name, reason, delayMs),
    };
  }

  #crashed(name: string, reason: string, delayMs: number | null): void {
    this.#options.metrics.restarted(name);
    if (delayMs === null) return this.#options.fatal(`the ${name} actor is in a crash loop (${reason})`);
    const message = `the ${name} actor crashed (${reason}), restarting`;
    this.#options.log({ level: 'error', message, fields: { delayMs }, module: 'main' });
  }

  #openOptions() {
    const { allowEmptyDatabase, migrate } = this.#options;
    const keys = { inKeystore: this.#keysAtRest, legacy: this.#opened.config.keyNames };
    return policyOptions(this.#config, this.#reserved, keys, { allowEmptyDatabase, migrate });
  }

  get #reserved(): string[] {
    return [...this.#config.admins, this.#opened.daemonPubkey];
  }

  #introduceAdminToPolicy(): void {
    const { port1, port2 } = new MessageChannel();
    this.#policy.link.tell('attachAdmin', { port: port1 }, [port1]);
    this.#admin.link.tell('policy', { port: port2 }, [port2]);
  }

  /** What actors know of the configuration; one that is not there hears it when it is back. */
  async #tellActors(reserved = this.#reserved): Promise<void> {
    this.#policy.link.tell('settings', { reserved, advertised: this.advertised });
    await this.#admin.link.ask('settings', adminSettings(this.#config, this.advertised)).catch(() => {});
  }

  // --- keys ---

  #makeKeys(inspected: Extract<AutounlockInspection, { ok: true }>): void {
    const { limits, maxActiveKeys, keystore } = this.#config;
    const { metrics, log } = this.#options;
    const times = (report: StageReport) => metrics.times.add(report);
    this.#blanks = new Blanks(
      (warm) => new KeyThread(workerFile('key'), { curve: this.#curve, warm }, this.#from('key'), times),
      () => this.#keys.withoutThread(this.#config.blankWorkers),
    );
    this.#strangers = new Strangers(this.#verify, limits.strangersPerKey, limits.strangersTotal);
    this.#keys = new Keys(
      {
        ...keySettings(this.#config, this.advertised),
        clock: this.#clock,
        release: (pubkey) => release(this.#vault.link, pubkey),
        attachAdmins: (keyName, port) => this.#admin.link.tell('attachKey', { keyName, port }, [port]),
        attachPolicy: (keyName, port, client) => this.#policy.link.tell('attachKey', { keyName, port, client }, [port]),
        publish: (pubkey, request, response) => {
          const head = responseHead(pubkey, request, response);
          void this.#relays.publish(response.raw, head);
          void this.#clientRelays.publish(response.raw, head, { from: request.from });
        },
        verified: (id) => this.#relays.remember(id),
        finished: (key, request, method, outcome, ms) => {
          metrics.finished(method, outcome, ms);
          if (log.enabled('debug', 'key')) log(requestLine(key, request, method, outcome, ms));
        },
        dropped: (reason) => metrics.dropped(reason),
        log: (level, message, fields) => log({ level, message, fields, module: 'key' }),
        relocked: () => void this.#resubscribe(),
      },
      {
        maxActive: maxActiveKeys,
        clients: (keyName) => this.#policy.link.ask('clients', { keyName }),
        isClient: (keyName, client) => this.#policy.link.ask('isClient', { keyName, client }),
        blanks: this.#blanks,
        strangers: this.#strangers,
      },
    );
    this.#custody = new Custody({
      keystore: keystore.dir,
      logN: keystore.logN,
      pool: this.#unlockers,
      keys: this.#keys,
      blanks: this.#blanks,
      reserved: () => this.#reserved,
      file: { path: this.#options.configPath, config: this.#opened.config },
      log,
      vault: () => this.#vault.link,
      policy: () => this.#policy.link,
      resubscribe: () => this.#resubscribe(),
    });
    const around = { custody: this.#custody, relaysReady: () => relaysReady(this.#relays), clock: this.#clock, log };
    this.#autounlock = new Autounlock(this.#options.autounlock, inspected, around);
  }

  // --- relays ---

  async #makeRelays(): Promise<void> {
    const made = makeRelays(this.#config, {
      clock: this.#clock,
      log: this.#from('relays'),
      isDaemon: (pubkey) => pubkey === this.daemonPubkey,
      keys: this.#keys,
      verify: this.#verify,
      makeProbe: () => this.#admin.link.ask('probe', null),
      signIn: (relay, challenge) => this.#admin.link.ask('authenticate', { relay, challenge }),
    });
    ({ embedded: this.#embedded, relays: this.#relays, clientRelays: this.#clientRelays } = made);
    const around = { keys: this.#keys, policy: () => this.#policy.link };
    this.#introductions = new Introductions({ ...made, ...around, allowPrivate: this.#config.allowPrivateRelays });
    this.#adminGate = new AdminGate({
      admins: () => this.#config.admins,
      admin: () => this.#admin.link,
      relays: this.#relays,
      dropped: (reason) => this.#options.metrics.dropped(reason),
    });
    this.#relays.onEvent((incoming) => this.#route(incoming));
    this.#relays.counting.onPublished = (ms) => this.#options.metrics.times.observe('publish', ms);
    await this.#relays.start().catch((error) => {
      throw notListening(this.#config.embeddedRelay.listen, error);
    });
  }

  /** Subscribes to what is unlocked now, and keeps threads ready for it; resolves when the relays deliver it. */
  async #resubscribe(): Promise<void> {
    this.#blanks.fill();
    const admins = adminSubscriptions(this.daemonPubkey, this.#config.admins);
    this.#introductions.arrange();
    await this.#relays.setSubscriptions([...admins, ...clientSubscriptions(this.#keys.subscribed())]);
  }

  #route(incoming: Incoming): void {
    if (incoming.head.p === this.daemonPubkey) return this.#adminGate.route(incoming);
    if (incoming.head.kind === CLIENT_KIND) return this.#keys.route(incoming);
    this.#options.metrics.dropped('kind');
    incoming.verdict?.(false, 'blocked: this kind is not taken here');
  }

  /** The log of one part of the daemon. */
  #from(module: string): (line: LogLine) => void {
    return (line) => this.#options.log({ ...line, module });
  }
}
