import { mkdirSync } from 'node:fs';
import { totalmem } from 'node:os';
import { systemClock } from './actor/clock.ts';
import { ActorError } from './actor/protocol.ts';
import type { RedactedConfig } from './admin/protocol.ts';
import { findInstallation, type Installation } from './config/installation.ts';
import { reload } from './config/reload.ts';
import { type Config, type ConfigResult, readWholeConfig } from './config.ts';
import { forcedCurve } from './curve/forced.ts';
import { type Libc, loadLibc } from './host/libc.ts';
import { giveFreePagesBack, giveMemoryBack } from './host/malloc.ts';
import { refuseDumps } from './host/no-dumps.ts';
import { Notify } from './host/notify.ts';
import { collectAtRest } from './host/rest.ts';
import { setV8Flags } from './host/v8-flags.ts';
import { type HttpServer, startHttp } from './http/server.ts';
import { isMissing } from './is-missing.ts';
import { takeAutounlockSources } from './key/autounlock-sources.ts';
import type { AutounlockSources } from './keystore/protocol.ts';
import { takeLock } from './lock.ts';
import { type Log, makeLog } from './log.ts';
import { Metrics } from './metrics.ts';
import type { LogLine } from './policy/protocol.ts';
import { besideConfiguration, quickstartText, writeQuickstart } from './quickstart.ts';
import { takeSharedLocks } from './shared-locks.ts';
import { Signer } from './signer.ts';
import { StartRefusal } from './start-refusal.ts';
import { version } from './version.ts';

export interface DaemonOptions {
  /** Path of nsecbunker.json. */
  config?: string;
  /** Folder of the installation. */
  data?: string;
  quickstart: boolean;
  migrate: boolean;
  allowEmptyDatabase: boolean;
  /** Ports in place of the configured ones; 0 picks a free one. */
  relayPort?: number;
  httpPort?: number;
}

/** Exit codes of `redoubt start` (docs/CLI.md). */
const DONE = 0;
const FAILED = 1;
const CONFIGURATION = 78;

const SEE_DOCTOR = '"redoubt doctor" looks at database, keys and files';

/** How long requests in flight may take once the daemon was told to stop, ms. */
const DRAIN_MS = 5_000;

/**
 * Runs the daemon until a signal ends it. The order of start is the order of supervision: what comes later needs what
 * came before, and stops first.
 *
 * @returns the process's exit code; what went wrong was said on standard error
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const autounlock = takeAutounlockSources(process.env, process.cwd());
  process.umask(0o077);
  setV8Flags();
  const libc = loadLibc();
  giveMemoryBack(libc);
  collectAtRest({ afterwards: () => giveFreePagesBack(libc) });
  // With a listener of its own, SIGUSR1 does not open the inspector.
  process.on('SIGUSR1', () => {});
  const beside = options.quickstart ? besideConfiguration(options, process.env, process.cwd()) : null;
  if (beside !== null) return refuse(beside, CONFIGURATION);
  const found = findInstallation(options, process.env, process.cwd(), options.quickstart);
  if (!found.ok) return refuse(found.refusal, CONFIGURATION);
  const installation = found.value;
  if (options.quickstart) mkdirSync(installation.data, { recursive: true, mode: 0o700 });
  else if (isMissing(installation.configPath)) {
    // Said before the lock is taken: its folder may be missing too.
    const missing = 'there is no such configuration file: name one with --config, or try "redoubt start --quickstart"';
    return refuse(`${installation.configPath}: ${missing}`, CONFIGURATION);
  }
  const lock = takeLock(installation.data);
  if (!lock.ok) return refuse(lock.refusal, FAILED);
  try {
    return await new Daemon(options, installation, autounlock, libc).run();
  } finally {
    lock.release();
  }
}

class Daemon {
  readonly #options: DaemonOptions;
  readonly #installation: Installation;
  readonly #autounlock: AutounlockSources;
  readonly #libc: Libc | null;
  readonly #end = Promise.withResolvers<number>();
  #log: Log = makeLog({ level: 'info', format: 'auto' });
  #signer: Signer | undefined;
  #http: HttpServer | undefined;
  #config: Config | undefined;
  #notify: Notify | null = null;
  #releaseShared = () => {};
  #stopping = false;

  constructor(options: DaemonOptions, installation: Installation, autounlock: AutounlockSources, libc: Libc | null) {
    this.#options = options;
    this.#installation = installation;
    this.#autounlock = autounlock;
    this.#libc = libc;
  }

  async run(): Promise<number> {
    const stop = (signal: string) => this.#stop(signal);
    const reread = () => {
      // Whatever is wrong with a file, it ends no daemon that runs.
      this.#reread().catch((error) => {
        this.#log({ level: 'error', message: 'reload: failed', fields: {} }, error);
      });
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGHUP', reread);
    try {
      // A start that does not come to its end is ended by a signal too.
      const started = this.#start();
      started.catch(() => {});
      await Promise.race([started, this.#end.promise]);
      return await this.#end.promise;
    } catch (error) {
      if (error instanceof StartRefusal) return refuse(error.message, error.exitCode);
      if (error instanceof ActorError) return refuse(`the start failed (${error.message}): ${SEE_DOCTOR}`, FAILED);
      throw error;
    } finally {
      this.#notify?.stopping();
      await this.#http?.close();
      await this.#signer?.stop(DRAIN_MS);
      this.#releaseShared();
      process.off('SIGTERM', stop);
      process.off('SIGINT', stop);
      process.off('SIGHUP', reread);
    }
  }

  #stop(signal: string): void {
    if (this.#stopping) {
      this.#say('warn', `${signal} again: ending at once`);
      process.exit(FAILED);
    }
    this.#stopping = true;
    this.#say('info', `${signal}: stopping`);
    this.#end.resolve(DONE);
  }

  async #start(): Promise<void> {
    const { quickstart, allowEmptyDatabase, migrate } = this.#options;
    const metrics = new Metrics();
    const signer = new Signer({
      configPath: this.#installation.configPath,
      quickstart: quickstart ? this.#installation.data : null,
      curve: forcedCurve(process.env) ?? null,
      allowEmptyDatabase,
      migrate,
      autounlock: this.#autounlock,
      clock: systemClock,
      log: Object.assign((line: LogLine) => this.#log(line), {
        enabled: (level: LogLine['level'], module: string) => this.#log.enabled(level, module),
      }),
      metrics,
      fatal: (reason) => {
        this.#say('error', `${reason}: ending`);
        this.#end.resolve(FAILED);
      },
    });
    this.#signer = signer;
    const config = await this.#configure(signer);
    this.#config = config;
    this.#lockShared(config);
    this.#harden();
    await signer.start(config);
    if (config.http.enabled) {
      const http = await startHttp({ ...config.http, daemon: signer.overview, metrics });
      if (!http.ok) throw new StartRefusal(http.refusal, FAILED);
      this.#http = http.value;
    }
    const isEnding = await Promise.race([signer.requestsTaken.then(() => false), this.#end.promise.then(() => true)]);
    if (isEnding) return;
    // Until its key is unlocked a client's request to it is lost: that belongs before the word.
    const demonstration = quickstart ? await this.#demonstrate(signer) : null;
    const where = { database: config.database, http: this.#http?.url ?? null, embeddedRelay: signer.embeddedUrl };
    this.#log({ level: 'info', message: 'ready', fields: { version, pid: process.pid, ...where } });
    if (demonstration !== null) {
      process.stdout.write(await quickstartText(demonstration.file, demonstration.made));
      writeQuickstart(demonstration.file);
    }
    this.#notify?.ready();
  }

  async #configure(signer: Signer): Promise<Config> {
    const file = await signer.openConfiguration();
    const read = this.#read(file);
    if (!read.ok) throw new StartRefusal(read.refusal, CONFIGURATION);
    this.#log = makeLog(read.config.log);
    for (const message of [...file.warnings, ...read.warnings]) this.#say('warn', message);
    return read.config;
  }

  /** SIGHUP: a file that is wrong changes nothing. */
  async #reread(): Promise<void> {
    const signer = this.#signer;
    const now = this.#config;
    if (signer === undefined || now === undefined || this.#stopping) return;
    const unanswered = { ok: false as const, refusal: 'the admin actor does not answer' };
    const file = await signer.admin.ask('reread', null).catch(() => unanswered);
    const read = file.ok ? this.#read(file.config) : file;
    if (!file.ok || !read.ok) {
      const { refusal } = file.ok ? (read as { refusal: string }) : file;
      return this.#say('error', `reload: nothing was changed: ${refusal}`);
    }
    const { config, changed, needRestart } = reload(now, read.config);
    if (file.keyChanged) needRestart.push('admin.key');
    const refusal = changed.length > 0 ? await signer.apply(config) : null;
    if (refusal !== null) return this.#say('error', `reload: nothing was changed: ${refusal}`);
    this.#config = config;
    this.#log = makeLog(config.log);
    for (const message of [...file.config.warnings, ...read.warnings]) this.#say('warn', message);
    const fields = { changed: changed.join(', '), needRestart: needRestart.join(', ') };
    this.#log({ level: 'info', message: 'reload: the configuration was read again', fields });
  }

  /** Database and keystore may lie anywhere; the folder of a new keystore is made here, to have its lock in it. */
  #lockShared({ database, keystore }: Config): void {
    try {
      mkdirSync(keystore.dir, { recursive: true, mode: 0o700 });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new StartRefusal(`the keystore ${keystore.dir} cannot be made (${code}): see to the folder above`, FAILED);
    }
    const locks = takeSharedLocks({ data: this.#installation.data, database, keystore: keystore.dir });
    if (!locks.ok) throw new StartRefusal(locks.refusal, FAILED);
    this.#releaseShared = locks.release;
  }

  #harden(): void {
    const dumps = refuseDumps(this.#libc);
    if (dumps !== null) this.#say('warn', dumps);
    const notify = Notify.from(process.env, process.pid, this.#libc);
    if (typeof notify === 'string') this.#say('warn', notify);
    else this.#notify = notify;
  }

  #say(level: LogLine['level'], message: string): void {
    this.#log({ level, message, fields: {} });
  }

  #read(file: RedactedConfig): ConfigResult {
    const { relayPort, httpPort, quickstart } = this.#options;
    const flags = quickstart ? { 'embeddedRelay.enabled': 'true' } : {};
    const { data } = this.#installation;
    const sources = { file, env: process.env, flags, data, cwd: process.cwd(), memory: totalmem() };
    const read = readWholeConfig(sources);
    if (!read.ok) return read;
    // The flags are ports: hosts stay what was configured.
    const { embeddedRelay, http } = read.config;
    return readWholeConfig({
      ...sources,
      flags: {
        ...flags,
        ...(relayPort === undefined ? {} : { 'embeddedRelay.listen': hostPort(embeddedRelay.listen.host, relayPort) }),
        ...(httpPort === undefined ? {} : { 'http.listen': hostPort(http.listen.host, httpPort) }),
      },
    });
  }

  /** Unlocks or makes the quickstart's key, and what is to be said of it. */
  async #demonstrate(signer: Signer) {
    const { data } = this.#installation;
    const made = await signer.admin.ask('quickstart', { data }, { timeoutMs: 60_000 });
    if (!made.ok) throw new StartRefusal(made.refusal, FAILED);
    const file = {
      bunker_url: made.bunkerUrl,
      relay: signer.embeddedUrl ?? '',
      health_url: this.#http === undefined ? null : `${this.#http.url}/api/health`,
      daemon_pubkey: signer.daemonPubkey,
      connection_string: made.connectionString,
      admin_npub: made.adminNpub,
      admin_nsec_file: made.adminNsecFile,
      data,
    };
    return { file, made };
  }
}

function hostPort(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function refuse(refusal: string, code: number): number {
  process.stderr.write(`redoubt: ${refusal}\n`);
  return code;
}
