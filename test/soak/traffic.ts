/** What clients, admins and strangers do, one thing at a time; each checks every answer that it gets. */
import { generateSecretKey, getPublicKey, nip04, nip44, verifyEvent } from 'nostr-tools';
import { findIn } from '../probe/scan.ts';
import type { SignedEvent } from '../support/clients.ts';
import { parseBunkerUrl, type RpcResponse } from '../support/rpc.ts';
import { quickFinalize } from '../support/sign.ts';
import { Caller, type Path, type Surroundings } from './caller.ts';
import { type Client, type Installation, KEYS, KINDS, SWING } from './installation.ts';

/** No rule has it. */
const DENIED_KIND = 5;
/** Lists are asked for in parts: what has gathered in an hour fits in no message. */
const PAGE = JSON.stringify({ offset: 0, limit: 20 });
const LISTS: [method: string, params: string[]][] = [
  ['get_keys', []],
  ['get_policies', [PAGE]],
  ['get_key_tokens', [KEYS[0]!, PAGE]],
  ['get_key_users', [KEYS[1]!, PAGE]],
  ['get_audit', ['{"limit":20}']],
  ['get_status', []],
  ['get_requests', [PAGE]],
  ['ping', []],
];

const LOCKED_MS = 300;
const FOCUS_MS = 10_000;
const STRAY = 0.02;

type Answer = Awaited<ReturnType<Caller['ask']>>;

export class Traffic {
  /** Ids of events that clients have seen signed. */
  readonly signed = new Set<string>();
  /** How many of them each counted policy has granted. */
  readonly counted = new Map<number, number>();
  readonly #on: Installation;
  readonly #around: Surroundings;
  readonly #stranger: Caller[];
  readonly #peer = generateSecretKey();
  readonly #actions: [action: () => Promise<unknown>, weight: number][];
  /** What changes one thing is done by one at a time. */
  #swinging = false;
  #made = 0;

  constructor(on: Installation, around: Surroundings) {
    this.#on = on;
    this.#around = around;
    this.#stranger = [...on.pubkeys.values()].map((pubkey) => new Caller(around, generateSecretKey(), pubkey));
    this.#actions = [
      [() => this.#sign(this.#client()), 44],
      [() => this.#cipher('nip44'), 9],
      [() => this.#cipher('nip04'), 7],
      [() => this.#expect(this.#client(), 'ping', [], 'pong'), 8],
      [() => this.#publicKey(), 6],
      [() => this.#denied(), 5],
      [() => this.#limited(), 4],
      [() => this.#garbage(), 8],
      [() => this.#list(), 4],
      [() => this.#newClient(), 1.5],
      [() => this.#invite(), 1],
      [() => this.#rename(), 1],
      [() => this.#pair(), 0.5],
      [() => this.#lock(), 0.7],
      [() => this.#keyOfAMoment(), 0.3],
      [() => this.#scrape(), 1],
    ];
  }

  /** One thing, whichever. */
  async act(): Promise<void> {
    let at = this.#around.random() * this.#actions.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [action, weight] of this.#actions) {
      at -= weight;
      if (at < 0) return void (await action());
    }
  }

  close(): void {
    for (const stranger of this.#stranger) stranger.close();
  }

  #client(): Client {
    const wanted = this.#key();
    return this.#around.random.pick(this.#on.clients.filter(({ key }) => key === wanted));
  }

  /** Mostly one of two, others after a while: each that is not active costs the start of a thread. */
  #key(): string {
    const { random } = this.#around;
    if (random.chance(STRAY)) return random.pick(KEYS);
    const first = Math.floor(performance.now() / FOCUS_MS);
    return KEYS[(first + (random.chance(0.5) ? 1 : 0)) % KEYS.length]!;
  }

  async #expect({ caller, key }: Client, method: string, params: unknown[], result: string): Promise<void> {
    const answer = await caller.ask(method, params);
    if (answer !== null && answer.result !== result) this.#wrong(`${method} of ${key}`, answer);
  }

  async #publicKey(): Promise<void> {
    const client = this.#client();
    await this.#expect(client, 'get_public_key', [], client.caller.remote);
  }

  async #sign({ caller, key }: Client, kind = this.#around.random.pick(KINDS)): Promise<Answer> {
    const content = crypto.randomUUID().repeat(Math.ceil(this.#around.random.between(0, 20)));
    const tags = [['p', getPublicKey(this.#peer)]];
    const template = { kind, content, tags, created_at: Math.floor(Date.now() / 1000) };
    const answer = await caller.ask('sign_event', [JSON.stringify(template)]);
    if (answer === null || answer.error !== undefined) {
      if (answer !== null && KINDS.includes(kind) && answer.error !== 'usage limit reached') {
        this.#wrong(`sign_event of ${key}`, answer);
      }
      return answer;
    }
    const event = JSON.parse(answer.result) as SignedEvent;
    const asked = event.kind === kind && event.content === content && event.pubkey === caller.remote;
    if (!asked || !verifyEvent(event)) this.#wrong(`sign_event of ${key}`, answer);
    this.signed.add(event.id);
    this.#around.count('signatures');
    return answer;
  }

  async #cipher(scheme: 'nip44' | 'nip04'): Promise<void> {
    const { caller, key } = this.#client();
    const text = `${this.#on.plaintext} ${this.#around.random()}`;
    const encrypted = await caller.ask(`${scheme}_encrypt`, [getPublicKey(this.#peer), text]);
    if (encrypted === null) return;
    const payload = encrypted.result;
    const read = () =>
      scheme === 'nip44'
        ? nip44.decrypt(payload, nip44.getConversationKey(this.#peer, caller.remote))
        : nip04.decrypt(this.#peer, caller.remote, payload);
    if (encrypted.error !== undefined || read() !== text) return this.#wrong(`${scheme}_encrypt of ${key}`, encrypted);
    const decrypted = await caller.ask(`${scheme}_decrypt`, [getPublicKey(this.#peer), payload]);
    if (decrypted !== null && decrypted.result !== text) this.#wrong(`${scheme}_decrypt of ${key}`, decrypted);
    this.#around.count('ciphers');
  }

  async #denied(): Promise<void> {
    const answer = await this.#sign(this.#client(), DENIED_KIND);
    if (answer !== null && answer.error !== 'not authorized') this.#wrong('a kind that no rule grants', answer);
    this.#around.count('denied');
  }

  async #limited(): Promise<void> {
    const wanted = this.#key();
    const { policy, ...client } = this.#on.limited.find(({ key }) => key === wanted)!;
    const answer = await this.#sign(client, 1);
    if (answer?.error === undefined && answer !== null) {
      this.counted.set(policy, (this.counted.get(policy) ?? 0) + 1);
    } else if (answer !== null) this.#around.count('refused by a counter');
  }

  /** Nobody whom anybody knows; nothing of it is answered. */
  async #garbage(): Promise<void> {
    const { random } = this.#around;
    const stranger = random.pick(this.#stranger);
    const rpc = await stranger.rpc();
    if (rpc === null) return;
    const { event } = rpc.request('sign_event', ['{}']);
    const { id, sig, ...template } = event;
    const resigned = (change: object) => quickFinalize({ ...template, ...change }, stranger.secretKey, rpc.pubkey);
    rpc.sendEvent(
      random.pick([
        () => event,
        () => ({ ...event, id: '0'.repeat(64) }),
        () => ({ ...event, sig: '0'.repeat(128) }),
        () => resigned({ content: 'garbage' }),
        () => resigned({ content: `${'A'.repeat(200)}?iv=${'B'.repeat(24)}` }),
        () => resigned({ content: Buffer.from(crypto.randomUUID().repeat(30)).toString('base64') }),
        () => resigned({ created_at: 0 }),
        () => rpc.request('', [], { body: '{"id":1,"method":["x"]}' }).event,
        () => rpc.request('connect', [rpc.remote, 'a secret of nobody']).event,
        () => ({ kind: 24133, tags: 'none' }),
        () => null,
      ])(),
    );
    this.#around.count('garbage');
  }

  async #list(): Promise<void> {
    const [method, params] = this.#around.random.pick(LISTS);
    await this.#administrate(method, params);
  }

  /** @returns null where it came to nothing for a fault */
  async #administrate(method: string, params: unknown[], needs: readonly Path[] = []): Promise<string | null> {
    const answer = await this.#on.admin.ask(method, params, needs);
    if (answer === null) return null;
    this.#around.count('admin requests');
    const found = findIn(Buffer.from(JSON.stringify(answer)), this.#on.canaries);
    if (found.length > 0) this.#around.broken(`the answer to ${method} holds the ${found.join(', ')}`);
    if (answer.error === undefined) return answer.result;
    if (answer.undisturbed) this.#wrong(method, answer);
    return null;
  }

  async #newClient(): Promise<void> {
    const { count } = this.#around;
    const key = this.#key();
    const wanted = { key, client_name: 'of a moment', policy_id: this.#on.policy, expires_in_hours: 1 };
    const issued = await this.#administrate('issue_token', [JSON.stringify(wanted)]);
    if (issued === null) return;
    const { id, bunker_url } = JSON.parse(issued) as { id: number; bunker_url: string };
    const { pubkey, secret } = parseBunkerUrl(bunker_url);
    const client = { key, caller: new Caller(this.#around, generateSecretKey(), pubkey) };
    await this.#connected(client, secret, async () => {
      count('new clients');
      await this.#sign(client);
      if ((await this.#administrate('revoke_token', [String(id)])) === null) return;
      const answer = await client.caller.ask('sign_event', [JSON.stringify({ kind: KINDS[0], content: '', tags: [] })]);
      if (answer !== null && answer.error !== 'token revoked') this.#wrong('after its token was revoked', answer);
      count('revoked');
    });
  }

  async #pair(): Promise<void> {
    const key = this.#key();
    const wanted = { key, client_name: `machine ${this.#made++}`, policy: 'atm-21000', expires_in_hours: 1 };
    const paired = await this.#administrate('pair', [JSON.stringify(wanted)]);
    if (paired === null) return;
    const { pubkey, secret } = parseBunkerUrl((JSON.parse(paired) as { bunker_url: string }).bunker_url);
    const client = { key, caller: new Caller(this.#around, generateSecretKey(), pubkey) };
    await this.#connected(client, secret, () => this.#expect(client, 'ping', [], 'pong'));
    this.#around.count('pairings');
  }

  /** A client that shows a nostrconnect:// URI, and need not ask to be connected. */
  async #invite(): Promise<void> {
    const key = this.#key();
    const secretKey = generateSecretKey();
    const relay = encodeURIComponent(this.#on.flaky.url);
    const uri = `nostrconnect://${getPublicKey(secretKey)}?relay=${relay}&secret=${this.#made++}-of-an-app`;
    // The answer to the client goes over its relay, whichever one the admin uses.
    if ((await this.#administrate('connect_client', [uri, key, this.#on.policy], ['outside'])) === null) return;
    const client = { key, caller: new Caller(this.#around, secretKey, this.#on.pubkeys.get(key)!) };
    await this.#expect(client, 'ping', [], 'pong');
    client.caller.close();
    this.#around.count('invitations');
  }

  /** A client of a moment, in the middle of which it may not be connected for a fault. */
  async #connected({ caller, key }: Client, secret: string, then: () => Promise<void>): Promise<void> {
    try {
      const answer = await caller.ask('connect', [caller.remote, secret]);
      if (answer === null) return;
      if (answer.result !== 'ack') return this.#wrong(`connect to ${key}`, answer);
      await then();
    } finally {
      caller.close();
    }
  }

  async #rename(): Promise<void> {
    const { caller } = this.#client();
    await this.#administrate('rename_key_user', [getPublicKey(caller.secretKey), `client ${this.#made++}`]);
  }

  /** A key that is locked answers nothing; unlocked, it signs. */
  async #lock(): Promise<void> {
    if (this.#swinging) return;
    this.#swinging = true;
    try {
      const client = this.#on.clients.find(({ key }) => key === SWING)!;
      if ((await this.#administrate('lock_key', [SWING])) !== null) {
        const rpc = await client.caller.rpc();
        const { id, event } = rpc?.request('get_public_key', []) ?? {};
        let locked = true;
        if (id !== undefined) rpc?.next(id).then(() => locked && this.#around.broken('a locked key has answered'));
        if (event !== undefined) rpc?.sendEvent(event);
        await new Promise((resolve) => setTimeout(resolve, LOCKED_MS));
        locked = false;
        this.#around.count('locks');
      }
      // Also where the lock's answer was lost.
      const began = performance.now();
      const unlocked = await this.#administrate('unlock_key', [SWING, this.#on.passphrase]);
      if (unlocked === null) return;
      if (JSON.parse(unlocked).success !== true) {
        // What could not be recorded for a fault is told as a failure, in the method's own form.
        if (this.#around.disturbances.since(began, ['daemon'])) return;
        return this.#around.broken(`${SWING} was not unlocked: ${unlocked}`);
      }
      await this.#sign(client);
    } finally {
      this.#swinging = false;
    }
  }

  async #keyOfAMoment(): Promise<void> {
    const name = `of a moment ${this.#made++}`;
    if ((await this.#administrate('create_new_key', [name, this.#on.passphrase])) === null) return;
    if ((await this.#administrate('delete_key', [name])) === null) return;
    await this.#administrate('purge_key', [name]);
    this.#around.count('keys made and purged');
  }

  async #scrape(): Promise<void> {
    const { health_url } = this.#on.daemon.quickstart;
    for (const url of [health_url, new URL('/metrics', health_url)]) {
      const text = await fetch(url)
        .then((response) => response.text())
        .catch(() => '');
      const found = findIn(Buffer.from(text), this.#on.canaries);
      if (found.length > 0) this.#around.broken(`${url} tells the ${found.join(', ')}`);
    }
  }

  #wrong(what: string, { result, error, undisturbed }: RpcResponse & { undisturbed: boolean }): void {
    this.#around.broken(`${what}: ${error ?? result.slice(0, 200)}${undisturbed ? '' : ' (amid a fault)'}`);
  }
}
