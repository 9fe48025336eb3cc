/**
 * An LNbits host, as far as its signer sees it: a process of its own that knows the daemon's connection string, an
 * admin's key and public libraries, and no code of this project. Every account gets a key in the signer and one client
 * key, which is paired once and stored for good.
 *
 *   node lnbits.ts <connection string> <admin nsec> <accounts>
 *
 * It provisions the accounts and prints `provisioned`; a line on its standard input says that the daemon was restarted.
 * Then it unlocks all keys at once, uses every one of them with the stored client keys, prints what it did as JSON, and
 * ends with 0.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type Event, finalizeEvent, generateSecretKey, getPublicKey, nip19, nip44, verifyEvent } from 'nostr-tools';

const ADMIN_KIND = 24134;
const CLIENT_KIND = 24133;
const POLICY = 'lnbits-account';
const RULES = [
  { method: 'sign_event', kind: 'all' },
  ...['nip44_encrypt', 'nip44_decrypt', 'nip04_encrypt', 'nip04_decrypt'].map((method) => ({ method })),
];
/** Accounts that are provisioned side by side. */
const SIDE_BY_SIDE = 5;
const ANSWER_MS = 60_000;

interface Answer {
  id: string;
  result: string;
  error?: string;
}

interface Account {
  name: string;
  passphrase: string;
  /** hex, of the key in the signer */
  pubkey: string;
  clientKey: Uint8Array;
}

/** One relay connection, which many keys of ours use. */
class Relay {
  readonly #url: string;
  #socket!: WebSocket;
  readonly #waiting = new Map<string, (event: Event) => void>();
  readonly #recipients = new Set<string>();

  constructor(url: string) {
    this.#url = url;
  }

  /** Tries until the relay is there. */
  async open(): Promise<void> {
    for (;;) {
      const socket = new WebSocket(this.#url);
      const opened = await new Promise<boolean>((resolve) => {
        socket.addEventListener('open', () => resolve(true));
        socket.addEventListener('error', () => resolve(false));
      });
      if (opened) {
        this.#socket = socket;
        socket.addEventListener('message', ({ data }) => this.#receive(JSON.parse(String(data))));
        for (const pubkey of this.#recipients) await this.#subscribe(pubkey);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  close(): void {
    this.#socket.close();
  }

  async listen(pubkey: string): Promise<void> {
    if (this.#recipients.has(pubkey)) return;
    this.#recipients.add(pubkey);
    await this.#subscribe(pubkey);
  }

  /** Sends a request and waits for its answer. */
  async ask(from: Uint8Array, to: string, kind: number, method: string, params: unknown[]): Promise<Answer> {
    const us = getPublicKey(from);
    await this.listen(us);
    const key = conversation(from, to);
    const id = Math.random().toString(36).slice(2);
    const content = nip44.encrypt(JSON.stringify({ id, method, params }), key);
    const created_at = Math.floor(Date.now() / 1000);
    const event = finalizeEvent({ kind, tags: [['p', to]], content, created_at }, from);
    const answered = Promise.withResolvers<Answer>();
    const timer = setTimeout(() => answered.reject(new Error(`${method}: no answer`)), ANSWER_MS);
    const take = (answer: Event) => {
      if (answer.pubkey !== to || answer.kind !== kind || !verifyEvent(answer)) return;
      const read = JSON.parse(nip44.decrypt(answer.content, key)) as Answer;
      if (read.id === id) answered.resolve(read);
    };
    this.#waiting.set(`${us} ${id}`, take);
    this.#socket.send(JSON.stringify(['EVENT', event]));
    try {
      return await answered.promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(`${us} ${id}`);
    }
  }

  async #subscribe(pubkey: string): Promise<void> {
    const ready = Promise.withResolvers<void>();
    this.#waiting.set(`eose ${pubkey}`, () => ready.resolve());
    const filter = { kinds: [ADMIN_KIND, CLIENT_KIND], '#p': [pubkey], limit: 0 };
    this.#socket.send(JSON.stringify(['REQ', pubkey, filter]));
    await ready.promise;
  }

  #receive([type, subscription, event]: [string, string, Event]): void {
    if (type === 'EOSE') this.#waiting.get(`eose ${subscription}`)?.(event);
    if (type !== 'EVENT') return;
    for (const [name, take] of this.#waiting) if (name.startsWith(`${subscription} `)) take(event);
  }
}

const conversations = new Map<string, Uint8Array>();
function conversation(from: Uint8Array, to: string): Uint8Array {
  const name = `${Buffer.from(from).toString('hex')} ${to}`;
  const key = conversations.get(name) ?? nip44.getConversationKey(from, to);
  conversations.set(name, key);
  return key;
}

const [connection = '', adminNsec = '', accountCount = ''] = process.argv.slice(2);
const [, daemonNpub = '', relays = ''] = /^bunker:\/\/([^@]+)@(.+)$/.exec(connection) ?? [];
const daemon = nip19.decode(daemonNpub as `npub1${string}`).data;
const adminKey = nip19.decode(adminNsec as `nsec1${string}`).data;
const [first = ''] = decodeURIComponent(relays).split(',');
const relay = new Relay(/^wss?:\/\//.test(first) ? first : `wss://${first}`);

async function admin(method: string, ...params: unknown[]): Promise<string> {
  const { result, error } = await relay.ask(adminKey, daemon, ADMIN_KIND, method, params);
  if (error !== undefined) throw new Error(`${method}: ${error}`);
  return result;
}

async function bunker(account: Account, method: string, ...params: string[]): Promise<string> {
  const { result, error } = await relay.ask(account.clientKey, account.pubkey, CLIENT_KIND, method, params);
  if (error !== undefined) throw new Error(`${account.name}: ${method}: ${error}`);
  return result;
}

async function ensurePolicy(): Promise<number> {
  const find = async () => {
    const policies = JSON.parse(await admin('get_policies')) as { id: number; name: string }[];
    return policies.find(({ name }) => name === POLICY)?.id;
  };
  const found = await find();
  if (found !== undefined) return found;
  assert.equal(await admin('create_new_policy', JSON.stringify({ name: POLICY, rules: RULES })), '["ok"]');
  const made = await find();
  assert.ok(made !== undefined, 'the policy is listed');
  return made;
}

async function provision(name: string, policy: number): Promise<Account> {
  const passphrase = `of ${name} alone`;
  const { npub } = JSON.parse(await admin('create_new_key', name, passphrase)) as { npub: `npub1${string}` };
  const account = { name, passphrase, pubkey: nip19.decode(npub).data, clientKey: generateSecretKey() };
  assert.equal(await admin('create_new_token', name, 'lnbits', policy, null), '["ok"]');
  const tokens = JSON.parse(await admin('get_key_tokens', name)) as { token: string; redeemed_at: string | null }[];
  const { token } = tokens.filter(({ redeemed_at }) => redeemed_at === null).at(-1)!;
  const [tokenNpub, secret = ''] = token.split('#');
  assert.equal(tokenNpub, npub);
  assert.equal(await bunker(account, 'connect', account.pubkey, secret), 'ack');
  return account;
}

async function unlock({ name, passphrase }: Account): Promise<void> {
  assert.deepEqual(JSON.parse(await admin('unlock_key', name, passphrase)), { success: true }, name);
}

/** Signs, encrypts and decrypts with the client key that was stored, and no connect. */
async function use(account: Account): Promise<void> {
  const template = { kind: 1, content: `from ${account.name}`, tags: [], created_at: Math.floor(Date.now() / 1000) };
  const event = JSON.parse(await bunker(account, 'sign_event', JSON.stringify(template))) as Event;
  assert.ok(verifyEvent(event));
  const { kind, content, tags, created_at, pubkey } = event;
  assert.deepEqual({ kind, content, tags, created_at, pubkey }, { ...template, pubkey: account.pubkey });

  const peer = generateSecretKey();
  const key = nip44.getConversationKey(peer, account.pubkey);
  const sealed = await bunker(account, 'nip44_encrypt', getPublicKey(peer), `to a peer of ${account.name}`);
  assert.equal(nip44.decrypt(sealed, key), `to a peer of ${account.name}`);
  const answer = nip44.encrypt(`to ${account.name}`, key);
  assert.equal(await bunker(account, 'nip44_decrypt', getPublicKey(peer), answer), `to ${account.name}`);
}

await relay.open();
await relay.listen(getPublicKey(adminKey));
const policy = await ensurePolicy();
assert.equal(await ensurePolicy(), policy, 'ensured once');
const accounts: Account[] = [];
const names = Array.from({ length: Number(accountCount) }, (_, i) => `lnbits-${i}`);
while (accounts.length < names.length) {
  const some = names.slice(accounts.length, accounts.length + SIDE_BY_SIDE);
  accounts.push(...(await Promise.all(some.map((name) => provision(name, policy)))));
}
const restarted = once(createInterface({ input: process.stdin }), 'line');
console.log('provisioned');
await restarted;

relay.close();
await relay.open();
const locked = JSON.parse(await admin('get_keys')) as { name: string; npub?: string }[];
const ours = new Set(names);
assert.ok(
  locked.every(({ name, npub }) => !ours.has(name) || npub === undefined),
  'every account is locked',
);
await Promise.all(accounts.map(unlock));
await Promise.all(accounts.map(use));
console.log(JSON.stringify({ accounts: accounts.map(({ name }) => name), policy }));
process.exit(0);
