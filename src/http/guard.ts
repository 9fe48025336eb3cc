import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';

/** What the guard looks at. Header names are in lower case. */
export interface Visitor {
  headers: { readonly [name: string]: string | string[] | undefined };
  /** The other end of the socket. */
  peer: string;
  /** Our end of it. */
  arrivedAt: string;
}

export interface GuardOptions {
  /** Host of the configured listen address. */
  listenHost: string;
  /** Further names that a request may give as its Host. */
  hosts: readonly string[];
  apiKey: string | null;
}

export type GuardRefusal = { status: 401 | 403; error: string };

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

/** Headers that proxies add: behind one, loopback is not where the request comes from. */
const FORWARDING =
  /^(forwarded|x-forwarded(-.*)?|x-original-(forwarded-for|host)|x-real-ip|via|(true-|x-|x-cluster-)?client-ip|cf-connecting-ip|fastly-client-ip|x-envoy-external-address)$/;

/** Who may read what over HTTP. docs/CONFIGURATION.md, Metrics. */
export class Guard {
  readonly #options: GuardOptions;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /**
   * A page that a browser was led to by a name that now points at us (DNS rebinding) cannot give a Host of ours, nor
   * know the key.
   */
  host(visitor: Visitor): GuardRefusal | null {
    const name = hostName(String(visitor.headers.host ?? ''));
    const ours = ['localhost', '127.0.0.1', '::1', plainAddress(visitor.arrivedAt), this.#options.listenHost];
    if ([...ours, ...this.#options.hosts].some((known) => known.toLowerCase() === name)) return null;
    if (this.#hasKey(visitor)) return null;
    return { status: 403, error: 'this Host is not served here: add it to http.hosts, or send X-API-Key' };
  }

  metrics(visitor: Visitor): GuardRefusal | null {
    if (this.#options.apiKey !== null) {
      return this.#hasKey(visitor) ? null : { status: 401, error: 'X-API-Key is missing or wrong' };
    }
    const forwarded = Object.keys(visitor.headers).some((name) => FORWARDING.test(name));
    if (!forwarded && isLoopback(visitor.peer)) return null;
    const whence = forwarded ? 'through a proxy' : 'from elsewhere than loopback';
    return {
      status: 403,
      error: `metrics are not given ${whence} without a key: configure http.apiKey (REDOUBT_API_KEY)`,
    };
  }

  #hasKey({ headers }: Visitor): boolean {
    const given = headers['x-api-key'];
    if (this.#options.apiKey === null || typeof given !== 'string') return false;
    // Of equal length whatever was sent, so that the comparison takes the same time.
    return timingSafeEqual(digest(given), digest(this.#options.apiKey));
  }
}

function digest(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}

/** `[::1]:4737`, `localhost:4737` or a bare name. */
function hostName(header: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(header) ?? [];
  return (bracketed ?? plain ?? '').toLowerCase();
}

/** An IPv4 peer of a socket that serves both is written ::ffff:127.0.0.1. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

function isLoopback(address: string): boolean {
  const plain = plainAddress(address);
  const family = isIP(plain);
  return family !== 0 && loopback.check(plain, family === 6 ? 'ipv6' : 'ipv4');
}
