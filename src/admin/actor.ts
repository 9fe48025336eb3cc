import { dirname, join } from 'node:path';
import type { Clock } from '../actor/clock.ts';
import { Link, type PortLike } from '../actor/link.ts';
import { ActorError, type Body, wipe } from '../actor/protocol.ts';
import type { Curve, CurveChoice } from '../curve/curve.ts';
import { curveInFile } from '../curve/forced.ts';
import type { Random } from '../curve/random.ts';
import { writeDurably } from '../keystore/durable.ts';
import { Permits } from '../keystore/permits.ts';
import { bytesToHex } from '../nip46/hex.ts';
import type { LogLine } from '../policy/protocol.ts';
import { relayUrl } from '../relay/url.ts';
import { Approvals, type Pending } from './approvals.ts';
import { readConfigFile } from './config-file.ts';
import { connectionString } from './connection-string.ts';
import type { Desk, Settings } from './desk.ts';
import { type Head, Heads } from './heads.ts';
import { Locks } from './locks.ts';
import { PolicyLine } from './policy-line.ts';
import type {
  AdminOpened,
  AdminReread,
  AdminToKey,
  AdminToMain,
  KeyToAdmin,
  MainToAdmin,
  QuickstartMade,
} from './protocol.ts';
import { Queue } from './queue.ts';
import { makeDemonstration } from './quickstart.ts';
import { makeQuickstartFiles, quickstartFiles } from './quickstart-files.ts';
import { Requests } from './requests.ts';
import { Transport } from './transport.ts';
import { WrongPassphrases } from './wrong-passphrases.ts';

/** Exit code for a configuration that must be mended (sysexits.h, EX_CONFIG). */
const EX_CONFIG = 78;
/** Tasks that unlockers are given at once: less than they let wait, and more than there are of them. */
const UNLOCKERS = 16;

/** What exists once the daemon's key is here. */
interface Opened {
  configPath: string;
  curve: Curve;
  transport: Transport;
  requests: Requests;
  heads: Heads;
  /** Of the quickstart's admin identity, hex. */
  quickstartAdmin: string | null;
}

/** The admin actor: the daemon's own key, and the admin RPC. docs/ADMIN.md */
export class AdminActor {
  readonly #main: Link<AdminToMain, MainToAdmin>;
  readonly #loadCurve: (wanted?: CurveChoice) => Promise<Curve>;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #desk: Desk;
  #opened: Opened | undefined;

  constructor(port: PortLike, loadCurve: (wanted?: CurveChoice) => Promise<Curve>, clock: Clock, random: Random) {
    this.#loadCurve = loadCurve;
    this.#clock = clock;
    this.#random = random;
    this.#main = new Link<AdminToMain, MainToAdmin>(port, {
      open: (body) => this.#open(body),
      reread: () => this.#reread(),
      policy: ({ port }) => this.#desk.policy.attach(port),
      settings: (settings) => this.#setSettings(settings),
      attachKey: ({ keyName, port }) => {
        new Link<AdminToKey, KeyToAdmin>(port, {
          approve: (question) => this.#desk.approvals.ask(keyName, question),
        });
      },
      event: (event) => {
        if (this.#opened === undefined) this.#main.tell('verdict', { seq: event.seq, ok: false });
        else void this.#opened.requests.handle(event);
      },
      probe: () => this.#probe(),
      authenticate: ({ relay, challenge }) => this.#authenticate(relay, challenge),
      quickstart: ({ data }) => this.#quickstart(data),
      stopAsking: () => this.#desk.approvals.close(),
      close: () => this.#close(),
    });
    const policy = new PolicyLine({ head: (head) => this.#keepHead(head) });
    this.#desk = {
      main: this.#main,
      policy,
      approvals: new Approvals({
        clock,
        policy,
        newId: () => bytesToHex(random(16)),
        timeoutMs: () => this.#desk.settings.approvalTimeout,
        show: (pending) => this.#show(pending),
        log: (level, message, fields) => this.#log(level, message, fields),
      }),
      settings: {
        relays: [],
        adminRelays: [],
        maxClockSkew: 600,
        admins: [],
        maxContent: 262_144,
        allowPrivateRelays: false,
        configured: [],
        approvalTimeout: 10_000,
      },
      queue: new Queue(),
      locks: new Locks(),
      wrongPassphrases: new WrongPassphrases(clock),
      unlockers: new Permits(UNLOCKERS, Number.POSITIVE_INFINITY),
      clock,
    };
  }

  async #open({ configPath, quickstart, curve: forced }: Body<MainToAdmin, 'open'>): Promise<AdminOpened> {
    if (this.#opened !== undefined) return refused('the admin actor is open already');
    let path = configPath;
    let quickstartAdmin: string | null = null;
    if (quickstart !== null) {
      const loaded = await this.#curve(forced ?? undefined);
      if (typeof loaded === 'string') return refused(loaded);
      const made = makeQuickstartFiles(quickstart, loaded, this.#random);
      if (!made.ok) return refused(made.refusal);
      path = quickstartFiles(quickstart).config;
      quickstartAdmin = made.value.adminPubkey;
    }
    const read = readConfigFile(path);
    if (!read.ok) return refused(read.refusal);
    const { adminKey, config } = read;
    try {
      const curve = await this.#curve(forced ?? curveInFile(config.redoubt));
      if (typeof curve === 'string') return refused(curve);
      const key = curve.openKey(adminKey);
      const transport = new Transport(curve, key, this.#clock);
      const requests = new Requests(this.#desk, transport, this.#clock, this.#random);
      const heads = new Heads(key, join(dirname(path), 'audit-heads.jsonl'));
      this.#opened = { configPath: path, curve, transport, requests, heads, quickstartAdmin };
      return { ok: true, daemonPubkey: transport.pubkey, config };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return refused(noKey(path));
    } finally {
      wipe(adminKey);
    }
  }

  #reread(): AdminReread {
    if (this.#opened === undefined) return { ok: false, refusal: 'the admin actor is not open' };
    const { configPath, transport, curve } = this.#opened;
    const read = readConfigFile(configPath);
    if (!read.ok) return { ok: false, refusal: read.refusal };
    try {
      const key = curve.openKey(read.adminKey);
      const keyChanged = bytesToHex(key.publicKey) !== transport.pubkey;
      key.wipe();
      return { ok: true, config: read.config, keyChanged };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return { ok: false, refusal: noKey(configPath) };
    } finally {
      wipe(read.adminKey);
    }
  }

  /** Or why not, in one line. */
  #curve(wanted: CurveChoice | undefined): Promise<Curve | string> {
    return this.#loadCurve(wanted).catch((error: Error) => error.message);
  }

  #setSettings(settings: Settings): null {
    this.#desk.settings = settings;
    if (this.#opened === undefined) return null;
    const file = join(dirname(this.#opened.configPath), 'connection.txt');
    try {
      writeDurably(file, new TextEncoder().encode(`${this.#connectionString(this.#opened)}\n`));
    } catch (error) {
      this.#log('warn', 'admin: connection.txt cannot be written', { file, error: codeOf(error) });
    }
    return null;
  }

  async #quickstart(data: string): Promise<QuickstartMade> {
    const opened = this.#opened;
    if (opened === undefined || opened.quickstartAdmin === null) {
      return { ok: false, refusal: 'the data folder was not opened yet' };
    }
    const made = await makeDemonstration(this.#desk, data, opened.quickstartAdmin);
    return made.ok ? { ...made, connectionString: this.#connectionString(opened) } : made;
  }

  #show(pending: Pending): boolean {
    if (this.#opened === undefined || this.#desk.settings.admins.length === 0) return false;
    this.#opened.requests.ask(pending);
    return true;
  }

  #probe(): string {
    if (this.#opened === undefined) throw new ActorError('failed', 'probe: the admin actor is not open');
    return this.#opened.transport.probe(this.#random);
  }

  #authenticate(relay: string, challenge: string): string | null {
    const isConfigured = this.#desk.settings.configured.some((url) => relayUrl(url) === relay);
    if (this.#opened === undefined || !isConfigured) return null;
    return this.#opened.transport.authenticate(relay, challenge);
  }

  #connectionString({ transport }: Opened): string {
    const { adminRelays, relays } = this.#desk.settings;
    return connectionString(transport.pubkey, adminRelays.length > 0 ? adminRelays : relays);
  }

  async #keepHead(head: Head): Promise<void> {
    if (this.#opened === undefined) return;
    const { seq, hash, cut } = head;
    try {
      await this.#opened.heads.append(head);
      this.#log('info', 'audit: head signed', { seq, hash, cut });
    } catch (error) {
      this.#log('error', 'audit: the signed head cannot be written', { seq, hash, error: codeOf(error) });
    }
  }

  async #close(): Promise<null> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.heads.flush();
    this.#desk.approvals.close();
    opened?.requests.close();
    opened?.transport.wipe();
    this.#desk.policy.close();
    return null;
  }

  #log(level: LogLine['level'], message: string, fields: LogLine['fields']): void {
    this.#main.tell('log', { level, message, fields });
  }
}

function noKey(path: string): string {
  return `${path}: admin.key is not a private key: it must be 64 hex digits of one, or an nsec`;
}

function refused(refusal: string): AdminOpened {
  return { ok: false, refusal, exitCode: EX_CONFIG };
}

/** The system's code of an error; its message may hold more than is wanted in a log. */
function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error instanceof Error ? error.name : 'exception');
}
