import { MessageChannel } from 'node:worker_threads';
import type { Clock } from './actor/clock.ts';
import type { Link } from './actor/link.ts';
import { Supervised } from './actor/supervised.ts';
import { startThread } from './actor/thread.ts';
import { AdminGate } from './admin/gate.ts';
import type { AdminOpened, AdminToMain, DaemonStatus, MainToAdmin, RedactedConfig } from './admin/protocol.ts';
import type { Config } from './config.ts';
import { chooseCurve } from './curve/choose.ts';
import type { CurveChoice, CurveName } from './curve/curve.ts';
import { Blanks } from './key/blanks.ts';
import { Custody } from './key/custody.ts';
import { Keys } from './key/keys.ts';
import { Strangers } from './key/strangers.ts';
import { KeyThread } from './key/thread.ts';
import { UnlockPool } from './keystore/pool.ts';
import type { MainToVault, VaultToMain } from './keystore/protocol.ts';
import type { Metrics } from './metrics.ts';
import { VerifyPool } from './nip46/verify-pool.ts';
import type { LogLine, MainToPolicy, PolicyStatus, PolicyToMain } from './policy/protocol.ts';
import { EmbeddedRelay } from './relay/embedded.ts';
import { HandledIds } from './relay/handled.ts';
import type { Incoming } from './relay/protocol.ts';
import { Relays } from './relay/relays.ts';
import { adminSubscriptions, CLIENT_KIND, clientSubscriptions } from './relay/subscriptions.ts';
import { StartRefusal } from './start-refusal.ts';
import { version } from './version.ts';
import { workerFile } from './worker-files.ts';

export interface SignerOptions {
  configPath: string;
  /** The data folder of a quickstart. */
  quickstart: string | null;
  /** The curve that the environment names. */
  curve: CurveChoice | null;
  allowEmptyDatabase: boolean;
  /** False: a database that needs a migration is refused. */
  migrate: boolean;
  clock: Clock;
  log: (line: LogLine) => void;
  metrics: Metrics;
  /** An actor that the signer cannot do without is in a crash loop: the process must end. */
  fatal: (reason: string) => void;
}

const HUNG_CHECK_MS = 1_000;

/**
 * The actors of one daemon and the links between them. The main thread runs this: it moves ciphertext, names, public
 * keys and ports, and holds no secret.
 */
export class Signer {
  readonly #options: SignerOptions;
  readonly #clock: Clock;
  readonly #started: number;
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
  #keys!: Keys;
  #custody!: Custody;
  #hungTimer: NodeJS.Timeout | undefined;

  constructor(options: SignerOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#started = options.clock.mono();
    this.#admin = this.#superviseAdmin();
    this.#policy = this.#supervisePolicy();
    this.#vault = this.#superviseVault();
  }

  /** The configuration without its secrets, as the admin actor read it. @throws StartRefusal */
  async openConfiguration(): Promise<RedactedConfig> {
    await this.#admin.start();
    return this.#opened.config;
  }

  /** Starts everything else; when it resolves, requests are taken. @throws StartRefusal */
  async start(config: Config): Promise<void> {
    this.#config = config;
    this.#curve = await chooseCurve(this.#verify, config.curve, this.#options.log);
    this.#unlockers = new UnlockPool({ filename: workerFile('unlock'), curve: this.#curve });
    const keystore = await this.#unlockers.prepare(config.keystore.dir);
    if (!keystore.ok) throw new StartRefusal(keystore.refusal, 1);
    this.#keysAtRest = keystore.keys;
    await this.#policy.start();
    await this.#vault.start();
    await this.#makeRelays();
    this.#makeKeys();
    this.#introduceAdminToPolicy();
    this.#tellAdmin();
    for (const row of await this.#policy.link.ask('keys', null)) {
      if (row.deletedAt === null) this.#keys.add(row.name, row.pubkey);
    }
    this.#relays.onEvent((incoming) => this.#route(incoming));
    await this.#resubscribe();
    this.#blanks.fill();
    this.#hungTimer = setInterval(() => this.#keys.checkHung(this.#clock.mono()), HUNG_CHECK_MS);
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
    const { advertisedRelays, relays } = this.#config;
    const outside = advertisedRelays.length > 0 ? advertisedRelays : relays;
    const list = outside.length > 0 ? outside : this.#embedded?.url ? [this.#embedded.url] : [];
    return [...list].sort();
  }

  /** Takes no more requests, finishes those in flight (up to `ms`), then ends every actor, secrets first overwritten. */
  async stop(ms: number): Promise<void> {
    clearInterval(this.#hungTimer);
    await this.#keys?.drain(ms);
    await this.#keys?.lockAll();
    await this.#blanks?.close();
    await this.#vault.link?.ask('forgetAll', null).catch(() => {});
    await this.#policy.link?.ask('close', null).catch(() => {});
    await this.#admin.link?.ask('close', null).catch(() => {});
    await this.#relays?.close();
    await Promise.all([this.#vault.stop(), this.#policy.stop(), this.#admin.stop()]);
    await Promise.all([this.#unlockers?.close(), this.#verify.close()]);
  }

  status(): DaemonStatus {
    const { total, unlocked, locked, active } = this.#keys.counts();
    return {
      version,
      uptime: Math.round((this.#clock.mono() - this.#started) / 1000),
      keys: { total, unlocked, locked, active },
      relays: this.#relays.status().map(({ url, state, roundTripMs }) => ({ url, state, roundTripMs })),
      curve: this.#curve,
      requests: this.#options.metrics.requests(),
      latency: this.#options.metrics.latency(),
    };
  }

  /** Everything that health looks at, the database by a real write. */
  async health(): Promise<{
    status: DaemonStatus;
    policy: PolicyStatus | null;
    schemaVersion: number;
    reasons: string[];
  }> {
    const status = this.status();
    const policy = await this.#policy.link.ask('health', null, { timeoutMs: 3_000 }).catch(() => null);
    const reasons: string[] = [];
    if (policy === null) reasons.push('the policy actor does not answer');
    else if (!policy.writable) reasons.push(`the audit log cannot be written: ${policy.failure ?? 'unknown reason'}`);
    const relays = this.#relays.status();
    if (!relays.some((relay) => relay.state === 'ready')) {
      const why = relays.map(({ url, reason }) => `${url}: ${reason ?? 'connecting'}`).join('; ');
      reasons.push(`no relay is ready (${why || 'none is configured'})`);
    }
    for (const key of this.#keys.all()) {
      if (key.state === 'quarantined') reasons.push(`key ${key.name} is quarantined: ${key.reason}`);
    }
    return { status, policy, schemaVersion: this.#schemaVersion, reasons };
  }

  /** Gauges that metrics reads when it is asked. */
  gauges(): { queued: number; keys: DaemonStatus['keys']; relayCounts: { readonly [name: string]: number } } {
    const { queued, ...keys } = this.#keys.counts();
    return { queued, keys, relayCounts: this.#relays.counts() };
  }

  // --- actors ---

  #superviseAdmin(): Supervised<MainToAdmin, AdminToMain> {
    return new Supervised<MainToAdmin, AdminToMain>({
      name: 'admin',
      clock: this.#options.clock,
      start: () => startThread(workerFile('admin'), { name: 'admin' }),
      handlers: {
        publish: ({ event }) => this.#adminGate.publish(event),
        verdict: ({ seq, ok }) => this.#adminGate.verdict(seq, ok),
        createKey: ({ name, port, pairing }) => this.#custody.create(name, { port }, pairing),
        unlockKeys: ({ names, source }) => this.#custody.unlock(names, source),
        lockKeys: ({ names, deleted }) => this.#custody.lock(names, deleted),
        unlocked: () => this.#keys.unlocked(),
        status: () => this.status(),
        log: this.#options.log,
      },
      up: async (link) => {
        const { configPath, quickstart, curve } = this.#options;
        const opened = await link.ask('open', { configPath, quickstart, curve });
        if (!opened.ok) throw new StartRefusal(opened.refusal, opened.exitCode);
        this.#opened = opened;
        if (this.#keys === undefined) return;
        this.#adminGate.forget();
        this.#introduceAdminToPolicy();
        this.#tellAdmin();
      },
      down: (reason, delayMs) => this.#crashed('admin', reason, delayMs),
    });
  }

  #supervisePolicy(): Supervised<MainToPolicy, PolicyToMain> {
    return new Supervised<MainToPolicy, PolicyToMain>({
      name: 'policy',
      clock: this.#options.clock,
      start: () => startThread(workerFile('policy'), { name: 'policy' }),
      handlers: {
        bound: ({ keyName, client }) => this.#keys?.bound(keyName, client),
        forgetClients: () => this.#keys?.forgetClients(),
        log: this.#options.log,
      },
      up: async (link) => {
        const opened = await link.ask('open', this.#policyOptions(), { timeoutMs: 60_000 });
        if (!opened.ok) throw new StartRefusal(opened.refusal, 1);
        this.#schemaVersion = opened.schemaVersion;
        if (this.#keys === undefined) return;
        this.#introduceAdminToPolicy();
        this.#keys.reattachPolicy();
      },
      down: (reason, delayMs) => this.#crashed('policy', reason, delayMs),
    });
  }

  #superviseVault(): Supervised<MainToVault, VaultToMain> {
    return new Supervised<MainToVault, VaultToMain>({
      name: 'vault',
      clock: this.#options.clock,
      start: () => startThread(workerFile('vault'), { name: 'vault' }),
      handlers: { log: this.#options.log },
      up: async (link) => {
        // Answered by a vault that is there; what an earlier one held is gone with its thread.
        await link.ask('forgetAll', null);
      },
      down: (reason, delayMs) => this.#crashed('vault', reason, delayMs),
    });
  }

  #crashed(name: string, reason: string, delayMs: number | null): void {
    if (delayMs === null) return this.#options.fatal(`the ${name} actor is in a crash loop (${reason})`);
    this.#log('error', `the ${name} actor crashed (${reason}), restarting`, { delayMs });
  }

  #policyOptions() {
    const config = this.#config;
    return {
      databasePath: config.database,
      maxClockSkew: config.maxClockSkew,
      auditRetentionDays: config.auditRetentionDays,
      kindsNotInAll: config.kindsNotInAll,
      reserved: [...config.admins, this.#opened.daemonPubkey],
      keysInKeystore: this.#keysAtRest + this.#opened.config.keyNames.length,
      allowEmptyDatabase: this.#options.allowEmptyDatabase,
      migrate: this.#options.migrate,
    };
  }

  #introduceAdminToPolicy(): void {
    const { port1, port2 } = new MessageChannel();
    this.#policy.link.tell('attachAdmin', { port: port1 }, [port1]);
    this.#admin.link.tell('policy', { port: port2 }, [port2]);
  }

  #tellAdmin(): void {
    const { adminRelays, maxClockSkew, admins, limits } = this.#config;
    const settings = { relays: this.advertised, maxClockSkew, admins, maxContent: limits.content };
    const own = adminRelays.length > 0 ? adminRelays : this.advertised;
    this.#admin.link.tell('settings', { ...settings, adminRelays: [...own] });
  }

  // --- keys ---

  #makeKeys(): void {
    const { limits, maxClockSkew, maxFutureEvent, answerUnknown, maxActiveKeys, keystore } = this.#config;
    const { metrics, log } = this.#options;
    this.#blanks = new Blanks(() => new KeyThread(workerFile('key'), this.#curve, log), this.#config.blankWorkers);
    this.#keys = new Keys(
      {
        limits: {
          maxClockSkew,
          maxFutureEvent,
          answerUnknown,
          clientRate: limits.clientRate,
          clientBurst: limits.clientBurst,
          requestDeadline: limits.requestDeadline,
          maxContent: limits.content,
        },
        keyQueue: limits.keyQueue,
        relays: this.advertised,
        clock: this.#clock,
        release: async (pubkey) => {
          const answer = this.#vault.link.ask('release', { pubkey });
          return answer.then(
            (port) => port ?? 'locked',
            () => 'unavailable' as const,
          );
        },
        attachPolicy: (keyName, port) => this.#policy.link.tell('attachKey', { keyName, port }, [port]),
        publish: (pubkey, request, response) => {
          const { raw, id, createdAt } = response;
          const head = { id, pubkey, kind: CLIENT_KIND, created_at: createdAt, p: request.head.pubkey };
          void this.#relays.publish(raw, head);
        },
        verified: (id) => this.#relays.remember(id),
        finished: (method, outcome, ms) => metrics.finished(method, outcome, ms),
        dropped: (reason) => metrics.dropped(reason),
        log: (level, message, fields) => this.#log(level, message, fields),
        relocked: () => void this.#resubscribe(),
      },
      {
        maxActive: maxActiveKeys,
        clients: (keyName) => this.#policy.link.ask('clients', { keyName }),
        blanks: this.#blanks,
        strangers: new Strangers(this.#verify, limits.strangersPerKey, limits.strangersTotal),
      },
    );
    this.#custody = new Custody({
      keystore: keystore.dir,
      logN: keystore.logN,
      pool: this.#unlockers,
      keys: this.#keys,
      vault: () => this.#vault.link,
      policy: () => this.#policy.link,
      resubscribe: () => this.#resubscribe(),
    });
  }

  // --- relays ---

  async #makeRelays(): Promise<void> {
    const { relays, adminRelays, embeddedRelay, maxClockSkew, limits } = this.#config;
    const random = Math.random;
    if (embeddedRelay.enabled) {
      this.#embedded = new EmbeddedRelay({
        host: embeddedRelay.listen.host,
        port: embeddedRelay.listen.port,
        clock: this.#clock,
        random,
        isOurs: (pubkey) => pubkey === this.daemonPubkey || this.#keys?.get(pubkey)?.unlocked === true,
        verify: async (raw) => {
          const verified = await this.#verify.verify(raw);
          if (verified === 'busy') throw new Error('busy');
          return verified;
        },
        software: { name: 'redoubt', version },
        limits: { maxContent: limits.content, skew: maxClockSkew },
      });
    }
    this.#relays = new Relays({
      urls: [...new Set([...relays, ...adminRelays])],
      ...(this.#embedded === undefined ? {} : { embedded: this.#embedded }),
      clock: this.#clock,
      random,
      handled: new HandledIds({ windowMs: 2 * maxClockSkew * 1000, maxIds: 262_144, random }),
      log: this.#options.log,
      makeProbe: () => this.#admin.link.ask('probe', null),
    });
    this.#adminGate = new AdminGate({
      admins: this.#config.admins,
      admin: () => this.#admin.link,
      relays: this.#relays,
      dropped: (reason) => this.#options.metrics.dropped(reason),
    });
    await this.#relays.start();
  }

  /** Subscribes to what is unlocked now; resolves when the relays deliver it. */
  async #resubscribe(): Promise<void> {
    const admins = adminSubscriptions(this.daemonPubkey, this.#config.admins);
    await this.#relays.setSubscriptions([...admins, ...clientSubscriptions(this.#keys.subscribed())]);
  }

  #route(incoming: Incoming): void {
    if (incoming.head.p === this.daemonPubkey) return this.#adminGate.route(incoming);
    if (incoming.head.kind === CLIENT_KIND) return this.#keys.route(incoming);
    this.#options.metrics.dropped('kind');
    incoming.verdict?.(false, 'blocked: this kind is not taken here');
  }

  #log(level: LogLine['level'], message: string, fields: LogLine['fields']): void {
    this.#options.log({ level, message, fields });
  }
}
