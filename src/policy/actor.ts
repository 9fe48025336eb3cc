import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../actor/clock.ts';
import { Link, type PortLike } from '../actor/link.ts';
import type { Handlers } from '../actor/protocol.ts';
import { StageReporter } from '../metrics/stage-reporter.ts';
import { beginAdmin, endAdmin, refusedAdmin } from './admin-log.ts';
import { answerLogout, answerRequest } from './answer.ts';
import { passOnce, writeApproval } from './commands/approvals.ts';
import { listAudit } from './commands/audit.ts';
import { addCondition, removeCondition } from './commands/conditions.ts';
import { createKey, deleteKey, findKey, listKeys, pageKeys, setLocked } from './commands/keys.ts';
import { checkPairing, pair } from './commands/pair.ts';
import { createPolicy, deletePolicy, findPolicies, listPolicies, pagePolicies } from './commands/policies.ts';
import { purgeKey } from './commands/purge.ts';
import { addRule, removeRule } from './commands/rules.ts';
import { createToken, listTokens, pageTokens, revokeToken } from './commands/tokens.ts';
import { pageUsers, renameUser, revokeUser } from './commands/users.ts';
import { PolicyEngine } from './engine.ts';
import { forgetClient, introduceClient } from './introduce.ts';
import type {
  AdminToPolicy,
  Asked,
  Decision,
  KeyToPolicy,
  MainToPolicy,
  Outcome,
  Pairing,
  PolicyToAdmin,
  PolicyToKey,
  PolicyToMain,
} from './protocol.ts';
import { answerConnect } from './redeem.ts';
import { answerRelayAuth } from './relay-auth.ts';

export interface PolicyActorOptions {
  clock: Clock;
  /** From the system's generator. */
  random: (bytes: number) => Uint8Array;
}

const UNAVAILABLE: Decision = { ok: false, refusal: 'audit log unavailable' };
/** How long an admin's row may wait for the database, ms. */
const ADMIN_PATIENCE_MS = 5000;
/** How long the admin actor may take to keep a head, ms. */
const HEAD_MS = 2_000;

/** The policy actor: the database, the rules in memory, the counters and the audit log, behind its ports. */
export function startPolicyActor(port: PortLike, options: PolicyActorOptions): void {
  const { clock, random } = options;
  let engine: PolicyEngine | null = null;
  let admin: Link<PolicyToAdmin, AdminToPolicy> | null = null;
  /** Settles when the admin actor has kept the last head that it was told. */
  let headKept: Promise<void> = Promise.resolve();
  const times = new StageReporter((report) => main.tell('times', { report }));

  const opened = (): PolicyEngine => {
    if (engine === null) throw new Error('the database is not open');
    return engine;
  };

  const main = new Link<PolicyToMain, MainToPolicy>(port, {
    open: async (wanted) => {
      if (engine !== null) return { ok: false, refusal: 'the database is open already' };
      const result = await PolicyEngine.open(wanted, {
        clock,
        random,
        log: (line) => main.tell('log', line),
        bound: (keyName, client) => main.tell('bound', { keyName, client }),
        forgetClients: () => main.tell('forgetClients', null),
        clientRelaysChanged: () => main.tell('clientRelaysChanged', null),
        committed: (ms) => times.observe('commit', ms),
        head: (head) => {
          headKept = admin?.ask('head', head, { timeoutMs: HEAD_MS }).catch(() => {}) ?? headKept;
        },
      });
      if (!result.ok) return result;
      engine = result.engine;
      return { ok: true, schemaVersion: engine.store.schemaVersion };
    },
    attachKey: ({ keyName, port, client }) => {
      attachKey(keyName, port);
      if (client !== null) engine?.expect(keyName, client);
    },
    attachAdmin: ({ port }) => {
      admin?.close();
      admin = new Link<PolicyToAdmin, AdminToPolicy>(port, adminHandlers());
    },
    keys: () => opened().commits.alone(async () => listKeys(opened().store, opened().legacyKeys)),
    createKey: (wanted) => makeKey(wanted),
    clientRelays: () => opened().commits.alone(async () => opened().clientRelays()),
    clients: ({ keyName }) => opened().commits.alone(async () => opened().desk.lookups.clients(keyName)),
    isClient: ({ keyName, client }) =>
      opened().commits.alone(async () => opened().desk.index.binding(keyName, client) !== null),
    status: () => opened().status(),
    settings: ({ reserved, advertised }) => {
      engine?.reserve(reserved);
      void engine?.announce(advertised);
    },
    health: () => opened().health(),
    close: async () => {
      await engine?.close();
      engine = null;
      // The admin actor is closed next, and hears of that on another port.
      await headKept;
      return null;
    },
  });

  /** A key's port speaks for that key only: its name is not in the messages. */
  function attachKey(keyName: string, port: MessagePort): void {
    const answer = (
      asked: Pick<Asked, 'expires'>,
      work: (engine: PolicyEngine) => Decision,
    ): Decision | Promise<Decision> => {
      const here = engine;
      if (here === null) return UNAVAILABLE;
      return here.commits.submit({ work: () => work(here), unavailable: UNAVAILABLE, expires: asked.expires });
    };
    new Link<PolicyToKey, KeyToPolicy>(port, {
      decide: (request) => answer(request, ({ desk }) => answerRequest(desk, keyName, request)),
      connect: (request) => answer(request, ({ desk }) => answerConnect(desk, keyName, request)),
      relayAuth: (request) => answer(request, ({ desk }) => answerRelayAuth(desk, keyName, request)),
      logout: (request) => answer(request, ({ desk }) => answerLogout(desk, keyName, request)),
    });
  }

  function adminHandlers(): Handlers<AdminToPolicy> {
    const row = <T>(work: (engine: PolicyEngine) => Outcome<T>): Promise<Outcome<T>> => {
      const here = opened();
      const unavailable: Outcome<T> = { ok: false, refusal: 'audit log unavailable' };
      return here.commits.submit({ work: () => work(here), unavailable, expires: clock.mono() + ADMIN_PATIENCE_MS });
    };
    /** What these forget of the rules they forget in the same turn of the queue: no decision comes in between. */
    const changed = <T>(work: (here: PolicyEngine) => Promise<Outcome<T>>): Promise<Outcome<T>> => {
      const here = opened();
      return here.change(() => work(here));
    };
    const read = <T>(work: (here: PolicyEngine) => T | Promise<T>): Promise<T> => {
      const here = opened();
      return here.commits.alone(async () => work(here));
    };
    return {
      begin: (wanted) => row(({ desk }) => beginAdmin(desk, wanted)),
      end: (wanted) => row(({ desk }) => endAdmin(desk, wanted)),
      introduceClient: (wanted) => row(({ desk }) => introduceClient(desk, random, wanted)),
      forgetClient: (introduction) => row(({ desk }) => forgetClient(desk, introduction)),
      refused: (wanted) => row(({ desk }) => refusedAdmin(desk, wanted)),
      listKeys: () => opened().commits.alone(async () => listKeys(opened().store, opened().legacyKeys)),
      pageKeys: (slice) => read(({ store, legacyKeys }) => pageKeys(store, slice, legacyKeys)),
      findKey: ({ name }) => read(({ store, legacyKeys }) => findKey(store, name, legacyKeys)),
      createKey: (wanted) => makeKey(wanted),
      setLocked: (wanted) => {
        const { store, change } = parts();
        return change(() => setLocked(store, clock, wanted, opened().legacyKeys));
      },
      listPolicies: () => opened().commits.alone(() => listPolicies(opened().store)),
      pagePolicies: (slice) => read(({ store }) => pagePolicies(store, slice)),
      findPolicies: ({ name }) => read(({ store }) => findPolicies(store, name)),
      createPolicy: (wanted) => {
        const { store, change } = parts();
        return change(() => createPolicy(store, clock, wanted));
      },
      listTokens: ({ keyName }) => opened().commits.alone(() => listTokens(opened().store, keyName)),
      pageTokens: (wanted) => read(({ store }) => pageTokens(store, wanted)),
      createToken: (wanted) => {
        const { store, change } = parts();
        return change(() => createToken(store, clock, random, wanted));
      },
      revokeToken: ({ id }) => {
        const { store, desk, change } = parts();
        return change(async () => {
          const { outcome, touched } = await revokeToken(store, clock, id);
          // Still in the same turn of the queue: no decision comes between the commit and this.
          if (touched !== null) desk.index.forgetBinding(touched.keyName, touched.client);
          return outcome;
        });
      },
      deleteKey: ({ name }) => changed(({ store, desk }) => deleteKey(store, desk, name)),
      purgeKey: ({ name }) => changed(({ store, desk }) => purgeKey(store, desk, name)),
      deletePolicy: ({ id }) => changed(({ store, desk }) => deletePolicy(store, desk, id)),
      addRule: (wanted) => changed(({ store, desk }) => addRule(store, desk, wanted)),
      removeRule: ({ id }) => changed(({ store, desk }) => removeRule(store, desk, id)),
      pageUsers: (wanted) => read(({ store }) => pageUsers(store, wanted)),
      renameUser: (wanted) => changed(({ store, desk }) => renameUser(store, desk, wanted)),
      revokeUser: ({ id }) => changed(({ store, desk }) => revokeUser(store, desk, id)),
      addCondition: (wanted) => changed(({ store, desk }) => addCondition(store, desk, wanted)),
      removeCondition: ({ id }) => changed(({ store, desk }) => removeCondition(store, desk, id)),
      writeApproval: (wanted) => changed(({ store, desk }) => writeApproval(store, desk, wanted)),
      passOnce: (wanted) => passOnce(opened().desk, wanted),
      listAudit: (filter) => listAudit(opened(), clock, filter),
      checkPairing: (pairing) => read(({ store }) => checkPairing(store, clock, pairing)),
      pair: ({ keyName, pairing }) =>
        changed(({ store, desk }) => pair(store, desk, random, { keyName, pubkey: null, pairing })),
      status: () => opened().status(),
    };
  }

  function parts() {
    const here = opened();
    return { store: here.store, desk: here.desk, change: here.change.bind(here) };
  }

  function makeKey(wanted: { name: string; pubkey: string; pairing?: Pairing }) {
    const { store, desk, change } = parts();
    return change(async () => {
      const { name, pubkey, pairing } = wanted;
      if (pairing !== undefined) {
        const paired = await pair(store, desk, random, { keyName: name, pubkey, pairing });
        return paired.ok ? { ok: true as const, value: paired.value.key } : paired;
      }
      const outcome = await createKey(store, desk, wanted);
      desk.index.forgetKey(wanted.name);
      return outcome;
    });
  }
}
