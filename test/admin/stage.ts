/** The admin actor over real message channels; only the main thread's and the policy actor's ends are doubles. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { finalizeEvent, generateSecretKey, getPublicKey, nip04, nip44 } from 'nostr-tools';
import { Link } from '../../src/actor/link.ts';
import type { Handlers } from '../../src/actor/protocol.ts';
import { AdminActor } from '../../src/admin/actor.ts';
import type { Settings } from '../../src/admin/desk.ts';
import { npubEncode } from '../../src/admin/npub.ts';
import type { AdminToMain, MainToAdmin } from '../../src/admin/protocol.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { pooledRandom } from '../../src/curve/random.ts';
import type { ChangeResult, PassphraseMessage, UnlockResult } from '../../src/keystore/protocol.ts';
import type {
  AdminToPolicy,
  KeyRow,
  LoggedRow,
  LogLine,
  Outcome,
  Paired,
  Pairing,
  PolicyRow,
  PolicyToAdmin,
  Slice,
  TokenRow,
  UserRow,
} from '../../src/policy/protocol.ts';

export const RELAYS = ['wss://b.example.com', 'ws://127.0.0.1:4736'];
const curve = await loadCurve();

/** The policy actor's records, in memory. */
export class Records {
  keys: KeyRow[] = [];
  policies: PolicyRow[] = [];
  tokens: TokenRow[] = [];
  users: UserRow[] = [];
  /** The newest first, whatever is asked for. */
  audit: LoggedRow[] = [];
  /** What was asked of the records beyond those above. */
  asked: [command: string, body: unknown][] = [];
  begun: { admin: string; event: string; method: string; target: string }[] = [];
  ended: { method: string; target: string; outcome: string }[] = [];
  refused: { sender: string; event: string; genuine: boolean; method: string | null; reason: string }[] = [];
  /** Policies that nothing is paired under. */
  unfit = new Set<string>();
  /** Parts of lists that were read. */
  slices: Slice[] = [];
  /** What `begin` answers instead; the database cannot be written. */
  broken: string | null = null;
  handlers: Handlers<AdminToPolicy>;

  constructor(clock: TestClock) {
    const now = () => clock.now();
    const ok = <T>(value: T) => ({ ok: true as const, value });
    const no = (refusal: string) => ({ ok: false as const, refusal });
    this.handlers = {
      begin: (body) => {
        if (this.broken !== null) return no(this.broken);
        if (this.begun.some((one) => one.event === body.event)) return no('replayed');
        this.begun.push(body);
        return ok(null);
      },
      end: ({ method, target, outcome }) => {
        this.ended.push({ method, target, outcome });
        return ok(null);
      },
      introduceClient: (introduced) => {
        this.asked.push(['introduceClient', introduced]);
        const { keyName, client } = introduced;
        return ok({ keyName, client, keyUserId: 1, tokenId: 1, wasBound: false, relaysBefore: null });
      },
      forgetClient: (introduction) => {
        this.asked.push(['forgetClient', introduction]);
        return ok(null);
      },
      refused: (body) => {
        this.refused.push(body);
        return ok(null);
      },
      listKeys: () => this.keys,
      pageKeys: (slice) =>
        this.page(
          slice,
          this.keys.filter((key) => key.deletedAt === null),
        ),
      findKey: ({ name }) => this.keys.find((key) => key.name === name) ?? null,
      createKey: () => no('not used by the admin actor'),
      setLocked: ({ name, locked }) => {
        if (this.broken !== null) return no(this.broken);
        const key = this.keys.find((key) => key.name === name);
        if (key === undefined) return no(`no key named "${name}"`);
        key.lockedAt = locked ? now() : null;
        return ok(null);
      },
      listPolicies: () => this.policies,
      pagePolicies: (slice) => this.page(slice, this.policies),
      checkPairing: ({ policy }) => (this.unfit.has(policy) ? no(`policy "${policy}" is unfit`) : ok(null)),
      findPolicies: ({ name }) => this.policies.filter((policy) => policy.name === name).map(({ id }) => id),
      createPolicy: ({ name, description, expiresAt, rules }) => {
        const policy: PolicyRow = {
          id: this.policies.length + 1,
          name,
          description,
          createdAt: now(),
          updatedAt: now(),
          expiresAt,
          rules: rules.map((rule, i) => ({ id: 10 + i, currentUsageCount: 0, ...rule })),
        };
        this.policies.push(policy);
        return ok(policy);
      },
      listTokens: ({ keyName }) => this.tokens.filter((token) => token.keyName === keyName),
      pageTokens: ({ keyName, ...slice }) =>
        this.page(
          slice,
          this.tokens.filter(
            (token) => token.keyName === keyName && (token.revokedAt === null || token.redeemedAt !== null),
          ),
        ),
      createToken: ({ keyName, clientName, policyId, expiresAt }) => {
        const policy = this.policies.find((policy) => policy.id === policyId);
        if (policy === undefined) return no(`no policy with id ${policyId}`);
        const id = this.tokens.length + 1;
        const token: TokenRow = {
          id,
          keyName,
          keyPubkey: this.keys.find((key) => key.name === keyName)?.pubkey ?? null,
          clientName,
          secret: id.toString(16).padStart(64, '0'),
          policyId,
          policyName: policy.name,
          createdAt: now(),
          updatedAt: now(),
          expiresAt,
          redeemedAt: null,
          redeemedBy: null,
          revokedAt: null,
          keyUserId: null,
        };
        this.tokens.push(token);
        return ok(token);
      },
      revokeToken: ({ id }) => {
        const token = this.tokens.find((token) => token.id === id);
        if (token === undefined) return no(`no token with id ${id}`);
        token.revokedAt = now();
        return ok(null);
      },
      deleteKey: ({ name }) => {
        const key = this.keys.find((key) => key.name === name);
        if (key === undefined) return no(`no key named "${name}"`);
        key.deletedAt ??= now();
        return ok(null);
      },
      purgeKey: ({ name }) => {
        this.keys = this.keys.filter((key) => key.name !== name);
        return ok(null);
      },
      deletePolicy: ({ id }) => {
        if (!this.policies.some((policy) => policy.id === id)) return no(`there is no policy ${id}`);
        this.policies = this.policies.filter((policy) => policy.id !== id);
        return ok(null);
      },
      addRule: ({ policyId, rule }) => {
        const policy = this.policies.find((policy) => policy.id === policyId);
        if (policy === undefined) return no(`there is no policy ${policyId}`);
        const row = { id: 20 + policy.rules.length, currentUsageCount: 0, ...rule };
        policy.rules.push(row);
        return ok(row);
      },
      removeRule: ({ id }) => {
        const policy = this.policies.find((policy) => policy.rules.some((rule) => rule.id === id));
        if (policy === undefined) return no(`there is no rule ${id}`);
        policy.rules = policy.rules.filter((rule) => rule.id !== id);
        return ok(null);
      },
      pageUsers: ({ keyName, ...slice }) =>
        this.page(
          slice,
          this.users.filter((user) => user.keyName === keyName),
        ),
      renameUser: (body) => {
        this.asked.push(['renameUser', body]);
        return ok(null);
      },
      revokeUser: ({ id }) => {
        const user = this.users.find((user) => user.id === id);
        if (user === undefined) return no(`there is no user ${id}`);
        user.revokedAt = now();
        return ok(null);
      },
      addCondition: (body) => {
        this.asked.push(['addCondition', body]);
        return ok(null);
      },
      removeCondition: (body) => {
        this.asked.push(['removeCondition', body]);
        return ok(null);
      },
      writeApproval: (body) => {
        this.asked.push(['writeApproval', body]);
        return ok(null);
      },
      passOnce: (body) => {
        this.asked.push(['passOnce', body]);
        return ok(null);
      },
      listAudit: (body) => {
        this.asked.push(['listAudit', body]);
        return ok(this.audit);
      },
      pair: ({ keyName, pairing }) => ok(this.pair(keyName, pairing)),
      status: () => ({ writable: true, lastWrite: null, failure: null, schemaVersion: 3, auditRows: 7, waiting: 0 }),
    };
  }

  page<R extends { id: number }>(slice: Slice, rows: readonly R[]): R[] {
    const { after, offset, limit } = slice;
    this.slices.push({ after, offset, limit });
    const behind = rows.filter((row) => row.id > after).sort((a, b) => a.id - b.id);
    return behind.slice(offset, offset + limit);
  }

  addUser(keyName: string, pubkey = getPublicKey(generateSecretKey())): UserRow {
    const user: UserRow = {
      id: this.users.length + 1,
      keyName,
      pubkey,
      description: null,
      createdAt: 1_700_000_000_000,
      lastUsedAt: null,
      revokedAt: null,
      conditions: [],
    };
    this.users.push(user);
    return user;
  }

  /** What the policy actor does in one transaction. */
  pair(keyName: string, pairing: Pairing): Paired {
    this.asked.push(['pair', pairing]);
    const key = this.keys.find((key) => key.name === keyName)!;
    const policy = this.policies.find((policy) => policy.name === pairing.policy);
    const id = this.tokens.length + 1;
    const token: TokenRow = {
      id,
      keyName,
      keyPubkey: key.pubkey,
      clientName: pairing.clientName,
      secret: id.toString(16).padStart(64, '0'),
      policyId: policy?.id ?? 1,
      policyName: pairing.policy,
      createdAt: 0,
      updatedAt: 0,
      expiresAt: pairing.expiresAt,
      redeemedAt: null,
      redeemedBy: null,
      revokedAt: null,
      keyUserId: null,
    };
    this.tokens.push(token);
    return { key, token };
  }

  addKey(name: string, pubkey = getPublicKey(generateSecretKey())): KeyRow {
    const id = this.keys.length + 1;
    const row = { id, name, pubkey, createdAt: 1_700_000_000_000, deletedAt: null, lockedAt: null };
    const key: KeyRow = { ...row, userCount: 2, tokenCount: 3 };
    this.keys.push(key);
    return key;
  }
}

export class TestClock {
  ms = Date.now();
  now(): number {
    return this.ms;
  }
  mono(): number {
    return this.ms;
  }
}

/** What the doubles of the main thread saw. */
export class MainThread {
  published: { id: string; pubkey: string; kind: number; tags: string[][]; content: string; created_at: number }[] = [];
  logs: LogLine[] = [];
  verdicts: boolean[] = [];
  dropped: string[] = [];
  onPublish: (event: string) => void = () => {};
  unlocked = new Set<string>();
  /** Passphrases that unlockers got, as text. */
  got: { name: string; passphrase: string; imported?: string; importPassphrase?: string }[] = [];
  /** Ends a derivation; set by a test to hold one. */
  derivation: Promise<void> = Promise.resolve();
  /** The relays have taken the subscriptions that are left. */
  subscribed: Promise<void> = Promise.resolve();
  /** What comes of a change of passphrases. */
  changed: ChangeResult = { ok: true, changed: 1, failed: [] };
  passphrase = 'correct horse';
  /** Of keys that have one of their own. */
  passphrases = new Map<string, string>();
  locked: string[][] = [];
  deleted: string[] = [];
  /** Whether a client's relays can be reached, and take the response. */
  reached: Outcome<null> | Promise<Outcome<null>> = { ok: true, value: null };
  taken: Outcome<null> = { ok: true, value: null };
  told: { client: string; secret: string }[] = [];
  left: string[] = [];
}

export interface Stage {
  main: MainThread;
  records: Records;
  clock: TestClock;
  folder: string;
  link: Link<MainToAdmin, AdminToMain>;
  policy: Link<PolicyToAdmin, AdminToPolicy>;
  daemon: string;
  admin: Uint8Array;
  startPolicy(): void;
  stopPolicy(): void;
  settings(change?: Partial<Settings>): void;
  /** Sends a request as an admin client would, without waiting. */
  send(request: object, options?: SendOptions): Sent;
  /** Sends a request and waits for its answer. */
  ask(method: string, params?: unknown[], options?: SendOptions): Promise<{ result: string; error?: string }>;
  /** Sends an event as it is. */
  deliver(raw: string, lane?: 'admin' | 'stranger'): void;
  answers(): { id: string; result: string; error?: string }[];
  answersTo(id: string): { result: string; error?: string }[];
  /** Waits until everything sent so far was looked at. */
  settled(): Promise<void>;
  end(): Promise<void>;
}

export interface SendOptions {
  from?: Uint8Array;
  encryption?: 'nip44' | 'nip04';
  kind?: number;
  id?: unknown;
  createdAt?: number;
  lane?: 'admin' | 'stranger';
}

export interface Sent {
  id: string;
  raw: string;
}

/** Raises the curtain on an actor that has opened a configuration of its own. */
export async function makeStage(): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'redoubt-admin-'));
  const admin = generateSecretKey();
  const daemonKey = generateSecretKey();
  const daemon = getPublicKey(daemonKey);
  const configPath = join(folder, 'nsecbunker.json');
  const config = {
    admin: { key: Buffer.from(daemonKey).toString('hex'), npubs: [npubEncode(getPublicKey(admin))] },
  };
  writeFileSync(configPath, JSON.stringify(config), { mode: 0o600 });

  const clock = new TestClock();
  const main = new MainThread();
  const records = new Records(clock);
  const toAdmin = new MessageChannel();
  new AdminActor(toAdmin.port2, async () => curve, clock, pooledRandom());
  const link = new Link<MainToAdmin, AdminToMain>(toAdmin.port1, mainHandlers(main, records));
  const answer = await link.ask('open', { configPath, quickstart: null, curve: null });
  if (!answer.ok) throw new Error(answer.refusal);
  let policyPort: MessagePort | undefined;

  const stage: Stage = {
    main,
    records,
    clock,
    folder,
    link,
    startPolicy() {
      const { port1, port2 } = new MessageChannel();
      policyPort = port1;
      stage.policy = new Link<PolicyToAdmin, AdminToPolicy>(port1, records.handlers);
      link.tell('policy', { port: port2 }, [port2]);
    },
    stopPolicy: () => policyPort?.close(),
    policy: undefined as never,
    daemon,
    admin,
    settings: (change = {}) =>
      void link.ask('settings', {
        relays: RELAYS,
        adminRelays: RELAYS,
        maxClockSkew: 600,
        admins: [getPublicKey(admin)],
        maxContent: 262_144,
        allowPrivateRelays: false,
        configured: [],
        approvalTimeout: 10_000,
        ...change,
      }),
    send(request, options = {}) {
      const sent = { id: String((request as { id: unknown }).id), raw: makeEvent(stage, request, options) };
      stage.deliver(sent.raw, options.lane);
      return sent;
    },
    async ask(method, params = [], options = {}) {
      const id = options.id ?? Math.random().toString(36).slice(2);
      const before = stage.answersTo(String(id)).length;
      stage.send({ id, method, params }, options);
      for (let turn = 0; turn < 2000; turn++) {
        const answer = stage.answersTo(String(id))[before];
        if (answer !== undefined) return answer;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      throw new Error(`no answer to ${method}`);
    },
    deliver: (raw, lane = 'admin') => link.tell('event', { seq: nextSeq++, raw, arrived: clock.mono(), lane }),
    answers: () => main.published.map((event) => open(stage, event)),
    answersTo: (id) => stage.answers().filter((answer) => answer.id === id),
    async settled() {
      // Everything here answers within a few turns; a ping is behind all that was delivered before it.
      await stage.ask('ping');
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    },
    async end() {
      await link.ask('close', null);
      toAdmin.port1.close();
      policyPort?.close();
      rmSync(folder, { recursive: true });
    },
  };
  stage.startPolicy();
  stage.settings();
  return stage;
}

let nextSeq = 1;
const senders = new Map<string, Uint8Array>();
const conversations = new Map<string, Uint8Array>();
const opened = new WeakMap<object, { id: string; result: string; error?: string }>();

function conversation(from: Uint8Array, daemon: string): Uint8Array {
  const name = `${Buffer.from(from).toString('hex')} ${daemon}`;
  const key = conversations.get(name) ?? nip44.getConversationKey(from, daemon);
  conversations.set(name, key);
  return key;
}

export function makeEvent(stage: Stage, request: object, options: SendOptions = {}): string {
  const { from = stage.admin, encryption = 'nip44', kind = 24134 } = options;
  senders.set(getPublicKey(from), from);
  const text = JSON.stringify(request);
  const content =
    encryption === 'nip04'
      ? nip04.encrypt(from, stage.daemon, text)
      : nip44.encrypt(text, conversation(from, stage.daemon));
  const created_at = options.createdAt ?? Math.floor(stage.clock.now() / 1000);
  return JSON.stringify(finalizeEvent({ kind, created_at, tags: [['p', stage.daemon]], content }, from));
}

function open(stage: Stage, event: MainThread['published'][number]): { id: string; result: string; error?: string } {
  const known = opened.get(event);
  if (known !== undefined) return known;
  const key = senders.get(event.tags[0]![1]!)!;
  const text = event.content.includes('?iv=')
    ? nip04.decrypt(key, stage.daemon, event.content)
    : nip44.decrypt(event.content, conversation(key, stage.daemon));
  const answer = JSON.parse(text);
  opened.set(event, answer);
  return answer;
}

export function mainHandlers(main: MainThread, records: Records): Handlers<AdminToMain> {
  const take = async (name: string, port: MessagePort): Promise<string> => {
    const [message] = (await once(port, 'message')) as [PassphraseMessage];
    port.close();
    const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);
    const { passphrase, imported, importPassphrase } = message;
    main.got.push({
      name,
      passphrase: text(passphrase)!,
      ...(imported ? { imported: text(imported)! } : {}),
      ...(importPassphrase ? { importPassphrase: text(importPassphrase)! } : {}),
    });
    await main.derivation;
    return text(passphrase)!;
  };
  return {
    publish: ({ event }) => {
      main.published.push(JSON.parse(event));
      main.onPublish(event);
    },
    verdict: ({ ok }) => main.verdicts.push(ok),
    dropped: ({ reason }) => main.dropped.push(reason),
    createKey: async ({ name, port, pairing }) => {
      await take(name, port);
      const { pubkey } = records.addKey(name);
      if (pairing !== undefined) records.pair(name, pairing);
      main.unlocked.add(name);
      return { ok: true, pubkey };
    },
    unlockKeys: async ({ names, source }) => {
      const passphrase = 'port' in source ? await take(names.join(' '), source.port) : main.passphrase;
      const result: UnlockResult = { unlocked: [], failed: [] };
      for (const name of names) {
        const { pubkey } = records.keys.find((key) => key.name === name)!;
        if (passphrase !== (main.passphrases.get(name) ?? main.passphrase)) {
          result.failed.push({ name, pubkey, error: 'wrong passphrase' });
          continue;
        }
        main.unlocked.add(name);
        result.unlocked.push(pubkey);
      }
      return result;
    },
    changePassphrase: async ({ name, port }) => {
      await take(name ?? '*', port);
      return main.changed;
    },
    purgeKey: async () => {
      // The unlockers' turn, like any other.
      await main.derivation;
      return { ok: true, value: null };
    },
    lockKeys: async ({ names, deleted }) => {
      main.locked.push([...names]);
      if (deleted === true) main.deleted.push(...names);
      const locked = names.filter((name) => main.unlocked.delete(name)).length;
      await main.subscribed;
      return { ok: true, value: locked };
    },
    reachClient: ({ keyName }) => {
      if (!main.unlocked.has(keyName)) return { ok: false, refusal: `key ${keyName} is locked: unlock it first` };
      return main.reached;
    },
    tellClient: async ({ client, secret }) => {
      const [bytes] = (await once(secret, 'message')) as [Uint8Array];
      secret.close();
      main.told.push({ client, secret: new TextDecoder().decode(bytes) });
      return main.taken;
    },
    leaveClient: ({ client }) => main.left.push(client),
    unlocked: () =>
      records.keys
        .filter((key) => main.unlocked.has(key.name))
        .map(({ name, pubkey }) => ({ name, pubkey, active: true })),
    status: () => ({
      version: '0.1.0',
      uptime: 5,
      keys: { total: 1, unlocked: 1, locked: 0, active: 1 },
      relays: [],
      curve: 'wasm',
      requests: { allowed: 3 },
      latency: null,
      quarantined: [],
      queues: { keys: 0, publish: 0 },
      threads: { activations: 1, passivations: 0, crashes: 0 },
      autounlock: null,
    }),
    log: (line) => main.logs.push(line),
  };
}
