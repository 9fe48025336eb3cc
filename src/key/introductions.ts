import type { MessagePort } from 'node:worker_threads';
import type { Link } from '../actor/link.ts';
import type { Handlers } from '../actor/protocol.ts';
import type { AdminToMain } from '../admin/protocol.ts';
import type { MainToPolicy, Outcome, PolicyToMain } from '../policy/protocol.ts';
import { clientRelayUrl } from '../relay/client-relay-url.ts';
import type { ClientRelays, Need } from '../relay/client-relays.ts';
import type { EventHead } from '../relay/protocol.ts';
import { EMBEDDED, type PublishedAt, type Relays } from '../relay/relays.ts';
import { CLIENT_KIND } from '../relay/subscriptions.ts';
import type { Keys } from './keys.ts';

export interface IntroductionsOptions {
  keys: Keys;
  relays: Relays;
  clientRelays: ClientRelays;
  policy(): Link<MainToPolicy, PolicyToMain>;
  /** Relays at private addresses too. */
  allowPrivate: boolean;
}

/** A client that brought a nostrconnect:// URI, the key that it is to use, and where it listens. */
export interface Introducing {
  keyName: string;
  client: string;
  relays: readonly string[];
}

/** How long the relays have to take the response, ms. */
const TELL_MS = 6_000;
/** What was reached for a client and never told is left after this, ms: the admin actor may have gone meanwhile. */
const LEAVE_MS = 60_000;

/** What the admin actor says of introductions, before there are any. */
export function introductionHandlers(
  introductions: () => Introductions,
): Pick<Handlers<AdminToMain>, 'reachClient' | 'tellClient' | 'leaveClient'> {
  return {
    reachClient: (wanted) => introductions().reach(wanted),
    tellClient: (wanted) => introductions().tell(wanted),
    leaveClient: (wanted) => introductions().leave(wanted),
  };
}

/** Clients that came by nostrconnect:// (NIP-46), as the main thread serves them: their relays, and the first response. */
export class Introductions {
  readonly #options: IntroductionsOptions;
  readonly #claims = new Map<string, { need: Need; timer: NodeJS.Timeout }>();
  #recorded: { keyName: string; relays: string[] }[] = [];
  #reading: Promise<void> | null = null;
  /** Asked for while it was being read: what was read may be from before. */
  #readNext: Promise<void> | null = null;

  constructor(options: IntroductionsOptions) {
    this.#options = options;
  }

  /** Reads from the records which relays are needed. What they said last holds while they cannot be read. */
  refresh(): Promise<void> {
    if (this.#reading !== null) {
      this.#readNext ??= this.#reading.then(() => {
        this.#readNext = null;
        return this.refresh();
      });
      return this.#readNext;
    }
    this.#reading = this.#read().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    try {
      this.#recorded = await this.#options.policy().ask('clientRelays', null);
    } catch {
      // The policy actor is on its way up again; then it is asked anew.
    }
    this.arrange();
  }

  /** Keys were locked or unlocked: a locked key needs no relay, one that is about to be opened does. */
  arrange(): void {
    const { keys, clientRelays, allowPrivate } = this.#options;
    const needs: Need[] = [];
    for (const { keyName, relays } of this.#recorded) {
      const key = keys.named(keyName);
      if (key?.listens !== true) continue;
      // What was allowed when it was written down may no longer be.
      const checked = relays.map((url) => clientRelayUrl(url, allowPrivate));
      needs.push({ pubkey: key.pubkey, relays: checked.flatMap((one) => (one.ok ? [one.url] : [])) });
    }
    clientRelays.arrange(needs);
  }

  /** Has the key served on the client's relays, one at least, until `tell` or `leave`. */
  async reach({ keyName, client, relays }: Introducing): Promise<Outcome<null>> {
    const key = this.#options.keys.named(keyName);
    if (key === undefined) return { ok: false, refusal: `no key named "${keyName}": get_keys lists them` };
    if (!key.unlocked) return { ok: false, refusal: `key ${keyName} is locked: unlock it first` };
    this.leave({ keyName, client });
    const need = { pubkey: key.pubkey, relays };
    const timer = setTimeout(() => this.leave({ keyName, client }), LEAVE_MS).unref();
    this.#claims.set(claimOf(keyName, client), { need, timer });
    const reached = await this.#options.clientRelays.claim(need);
    if (!reached.ok) this.leave({ keyName, client });
    return reached;
  }

  /**
   * Has the key tell the client that it is its signer; done when one of the client's relays has taken it.
   * @param secret port on which the URI's secret waits, for the key's thread
   */
  async tell({ keyName, client, relays, secret }: Introducing & { secret: MessagePort }): Promise<Outcome<null>> {
    const key = this.#options.keys.named(keyName);
    const response = await key?.errand((link) => link.ask('introduce', { client, secret }, { transfer: [secret] }));
    if (key === undefined || !response) {
      secret.close();
      await this.#settle(keyName, client);
      return { ok: false, refusal: `key ${keyName} cannot answer this client: is it unlocked, and the URI whole?` };
    }
    const { raw, id, createdAt } = response;
    const head = { id, pubkey: key.pubkey, kind: CLIENT_KIND, created_at: createdAt, p: client };
    const [told] = await Promise.all([this.#publish(raw, head, relays), this.#settle(keyName, client)]);
    return told;
  }

  /** The client is not introduced after all. */
  leave({ keyName, client }: { keyName: string; client: string }): void {
    const claim = this.#claims.get(claimOf(keyName, client));
    if (claim === undefined) return;
    clearTimeout(claim.timer);
    this.#claims.delete(claimOf(keyName, client));
    this.#options.clientRelays.release(claim.need);
  }

  /** From here on the records say what is needed. */
  async #settle(keyName: string, client: string): Promise<void> {
    await this.refresh();
    this.leave({ keyName, client });
  }

  async #publish(raw: string, head: EventHead, among: readonly string[]): Promise<Outcome<null>> {
    const { relays, clientRelays } = this.#options;
    const publishing = among.map((url) => {
      const isOurs = relays.stateOf(url) !== null;
      return isOurs ? relays.publish(raw, head, { relays: [url] }) : clientRelays.publish(raw, head, { among: [url] });
    });
    const taken = Promise.withResolvers<Outcome<null>>();
    const timer = setTimeout(() => taken.resolve(refused(`not within ${TELL_MS} ms`)), TELL_MS);
    void Promise.all(publishing).then((published) => taken.resolve(refused(why(published.flat()))));
    for (const published of publishing) {
      void published.then((at) => {
        if (at.some(isTaken)) taken.resolve({ ok: true, value: null });
      });
    }
    return taken.promise.finally(() => clearTimeout(timer));
  }
}

/** The embedded relay knows when it delivered to nobody. */
function isTaken({ relay, ok, reason }: PublishedAt): boolean {
  return ok && !(relay === EMBEDDED && reason !== '');
}

function why(published: readonly PublishedAt[]): string {
  return published.map(({ relay, reason }) => `${relay}: ${reason}`).join(', ') || 'none is connected';
}

function refused(reason: string): Outcome<null> {
  return { ok: false, refusal: `no relay of the client's has taken the response (${reason})` };
}

function claimOf(keyName: string, client: string): string {
  return `${client} ${keyName}`;
}
