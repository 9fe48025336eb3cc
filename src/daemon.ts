import { existsSync, mkdirSync } from 'node:fs';
import { totalmem } from 'node:os';
import { systemClock } from './actor/clock.ts';
import { findInstallation, type Installation } from './config/installation.ts';
import { type Config, readConfig } from './config.ts';
import { forcedCurve } from './curve/forced.ts';
import { type HttpServer, startHttp } from './http/server.ts';
import { takeLock } from './lock.ts';
import { type Log, makeLog } from './log.ts';
import { Metrics } from './metrics.ts';
import { besideConfiguration, quickstartText, writeQuickstart } from './quickstart.ts';
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

/** How long requests in flight may take once the daemon was told to stop, ms. */
const DRAIN_MS = 5_000;

/**
 * Runs the daemon until a signal ends it. The order of start is the order of supervision: what comes later needs what
 * came before, and stops first.
 *
 * @returns the process's exit code; what went wrong was said on standard error
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  process.umask(0o077);
  // With a listener of its own, SIGUSR1 does not open the inspector.
  process.on('SIGUSR1', () => {});
  const beside = options.quickstart ? besideConfiguration(options, process.env, process.cwd()) : null;
  if (beside !== null) return refuse(beside, CONFIGURATION);
  const found = findInstallation(options, process.env, process.cwd(), options.quickstart);
  if (!found.ok) return refuse(found.refusal, CONFIGURATION);
  const installation = found.value;
  if (options.quickstart) mkdirSync(installation.data, { recursive: true, mode: 0o700 });
  else if (!existsSync(installation.configPath)) {
    // Said before the lock is taken: its folder may be missing too.
    const missing = 'there is no such configuration file: name one with --config, or try "redoubt start --quickstart"';
    return refuse(`${installation.configPath}: ${missing}`, CONFIGURATION);
  }
  const lock = takeLock(installation.data);
  if (!lock.ok) return refuse(lock.refusal, FAILED);
  try {
    return await new Daemon(options, installation).run();
  } finally {
    lock.release();
  }
}

class Daemon {
  readonly #options: DaemonOptions;
  readonly #installation: Installation;
  readonly #end = Promise.withResolvers<number>();
  #log: Log = makeLog({ level: 'info', format: 'auto' });
  #signer: Signer | undefined;
  #http: HttpServer | undefined;

  constructor(options: DaemonOptions, installation: Installation) {
    this.#options = options;
    this.#installation = installation;
  }

  async run(): Promise<number> {
    const stop = (signal: string) => {
      this.#log({ level: 'info', message: `${signal}: stopping`, fields: {} });
      this.#end.resolve(DONE);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    try {
      await this.#start();
      return await this.#end.promise;
    } catch (error) {
      if (error instanceof StartRefusal) return refuse(error.message, error.exitCode);
      throw error;
    } finally {
      await this.#http?.close();
      await this.#signer?.stop(DRAIN_MS);
      process.off('SIGTERM', stop);
      process.off('SIGINT', stop);
    }
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
      clock: systemClock,
      log: (line) => this.#log(line),
      metrics,
      fatal: (reason) => {
        this.#log({ level: 'error', message: `${reason}: ending`, fields: {} });
        this.#end.resolve(FAILED);
      },
    });
    this.#signer = signer;
    const config = await this.#configure(signer);
    await signer.start(config);
    if (config.http.enabled) {
      const http = await startHttp({ ...config.http, signer, metrics });
      if (!http.ok) throw new StartRefusal(http.refusal, FAILED);
      this.#http = http.value;
    }
    this.#log({ level: 'info', message: 'ready', fields: { version, pid: process.pid, database: config.database } });
    if (quickstart) await this.#demonstrate(signer);
  }

  async #configure(signer: Signer): Promise<Config> {
    const file = await signer.openConfiguration();
    const { relayPort, httpPort, quickstart } = this.#options;
    const read = readConfig({
      file,
      env: process.env,
      flags: {
        ...(quickstart ? { 'embeddedRelay.enabled': 'true' } : {}),
        ...(relayPort === undefined ? {} : { 'embeddedRelay.listen': `127.0.0.1:${relayPort}` }),
        ...(httpPort === undefined ? {} : { 'http.listen': `127.0.0.1:${httpPort}` }),
      },
      data: this.#installation.data,
      cwd: process.cwd(),
      memory: totalmem(),
    });
    if (!read.ok) throw new StartRefusal(read.refusal, CONFIGURATION);
    this.#log = makeLog(read.config.log);
    for (const message of [...file.warnings, ...read.warnings]) this.#log({ level: 'warn', message, fields: {} });
    return read.config;
  }

  async #demonstrate(signer: Signer): Promise<void> {
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
    process.stdout.write(await quickstartText(file, made));
    writeQuickstart(file);
  }
}

function refuse(refusal: string, code: number): number {
  process.stderr.write(`redoubt: ${refusal}\n`);
  return code;
}
