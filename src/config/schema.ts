import * as z from 'zod';
import { hostName, listenAddress, logLevel, moduleLevel, publicKey, relayUrl } from './values.ts';

export type OptionMeta = {
  description: string;
  /** Its environment variable, where that is not made from the option's path. */
  env?: string;
  /** Where nsecbunkerd keeps it in nsecbunker.json; the same option under `redoubt` wins. */
  legacy?: string;
  /** What the default stands for, where it depends on the installation. */
  byDefault?: string;
  /** Is not shown. */
  secret?: true;
  /** Is taken over from a file that is read again (SIGHUP); what is not needs a restart. */
  live?: true;
};

const seconds = z.int().max(365 * 86_400);
const perSecond = z.number().max(1_000_000);
const relays = z.array(relayUrl).transform((urls) => [...new Set(urls)].sort());

const text = (description: string, more: Omit<OptionMeta, 'description'> = {}): OptionMeta => ({
  description,
  ...more,
});

/**
 * Every option of the daemon, its default and what it means: the only place that knows them.
 * docs/CONFIGURATION.md lists the same, and test/config/documented.test.ts compares the two.
 */
export const schema = z.object({
  admins: z
    .array(publicKey)
    .prefault([])
    .meta(text('public keys that may administrate', { env: 'ADMIN_NPUBS', legacy: 'admin.npubs', live: true })),
  database: z
    .string()
    .nullable()
    .prefault(null)
    .meta(
      text('the database file: a path, `file:PATH` or `sqlite://PATH`', {
        env: 'DATABASE_URL',
        legacy: 'database',
        byDefault: '`nsecbunker.db` in the data folder',
      }),
    ),
  relays: relays
    .prefault([])
    .meta(text('relays that clients and keys meet on', { legacy: 'nostr.relays', live: true })),
  adminRelays: relays
    .prefault([])
    .meta(
      text('relays of the admin RPC', { legacy: 'admin.adminRelays', byDefault: 'the same as `relays`', live: true }),
    ),
  advertisedRelays: relays.prefault([]).meta(
    text('relays in bunker URLs and in answers to clients', {
      byDefault: '`relays`; the embedded relay when there is no other',
      live: true,
    }),
  ),
  allowPrivateRelays: z
    .boolean()
    .prefault(false)
    .meta(text("whether a client's URI may name `ws:` relays and relays at private addresses")),
  embeddedRelay: z
    .object({
      enabled: z.boolean().prefault(false).meta(text('run the embedded relay')),
      listen: listenAddress
        .prefault('127.0.0.1:4736')
        .meta(text('HOST:PORT of the embedded relay; port 0 picks a free one', { env: 'REDOUBT_RELAY_LISTEN' })),
    })
    .prefault({}),
  http: z
    .object({
      enabled: z.boolean().prefault(true).meta(text('serve health and metrics')),
      listen: listenAddress
        .prefault('127.0.0.1:4737')
        .meta(text('HOST:PORT of health and metrics; port 0 picks a free one')),
      hosts: z
        .array(hostName)
        .prefault([])
        .meta(text('further names that a request may give as its Host, without a port')),
      apiKey: z
        .string()
        .min(16, 'expected 16 characters at least')
        .nullable()
        .prefault(null)
        .meta(
          text('what `X-API-Key` must hold to read metrics', {
            env: 'REDOUBT_API_KEY',
            byDefault: 'none',
            secret: true,
          }),
        ),
    })
    .prefault({}),
  curve: z
    .enum(['auto', 'native', 'wasm', 'noble'])
    .prefault('auto')
    .meta(text('curve arithmetic: `native`, `wasm`, `noble`, or `auto` for the fastest that loads')),
  maxClockSkew: seconds.min(1).prefault(600).meta(text("s by which an event's time may differ from ours")),
  maxFutureEvent: seconds
    .min(0)
    .prefault(900)
    .meta(text('s by which an event to be signed may lie in the future', { live: true })),
  limits: z
    .object({
      content: z
        .int()
        .min(1024)
        .max(16 * 1024 * 1024)
        .prefault(262_144)
        .meta(text("bytes of an event's content")),
      clientRate: perSecond
        .positive()
        .prefault(50)
        .meta(text('requests a second of one client', { live: true })),
      clientBurst: z
        .int()
        .min(1)
        .max(1_000_000)
        .prefault(200)
        .meta(text('requests of one client at once', { live: true })),
      keyQueue: z
        .int()
        .min(1)
        .max(100_000)
        .prefault(64)
        .meta(text('requests that wait for one key', { live: true })),
      strangersPerKey: perSecond
        .min(0)
        .prefault(5)
        .meta(text("strangers' events a second that are looked at, for one key", { live: true })),
      strangersTotal: perSecond
        .min(0)
        .prefault(50)
        .meta(text("strangers' events a second that are looked at, for all keys", { live: true })),
      clientRelays: z
        .int()
        .min(0)
        .max(10_000)
        .prefault(64)
        .meta(text('relays of clients (`nostrconnect://`) that are held at once')),
      requestDeadline: z
        .int()
        .min(100)
        .max(600_000)
        .prefault(30_000)
        .meta(text('ms after which a request is not carried out any more', { live: true })),
    })
    .prefault({}),
  maxActiveKeys: z
    .int()
    .min(1)
    .nullable()
    .prefault(null)
    .meta(
      text('keys that have a thread at once; one that only waits for an admin keeps its own beside them', {
        byDefault: "what fits in a quarter of the machine's memory",
      }),
    ),
  blankWorkers: z
    .int()
    .min(0)
    .max(64)
    .prefault(2)
    .meta(text('threads kept warm, at most, for unlocked keys that have none')),
  auditRetentionDays: z.int().min(1).max(36_500).prefault(90).meta(text('days for which audit rows are kept')),
  kindsNotInAll: z
    .array(z.int().min(0).max(65_535))
    .nullable()
    .prefault(null)
    .meta(
      text('kinds that `all` does not grant: they need a rule of their own', {
        byDefault: '`[22242,27235,62]`; none in an installation that nsecbunkerd began',
      }),
    ),
  answerUnknown: z
    .enum(['connect', 'all', 'none'])
    .prefault('connect')
    .meta(text('what clients without a binding are answered: failed connects, everything, nothing', { live: true })),
  approvalTimeout: z
    .int()
    .min(0)
    .max(600_000)
    .prefault(10_000)
    .meta(text('ms that admins have to decide on what no rule answers; 0 asks nobody', { live: true })),
  askForStrangers: z
    .boolean()
    .nullable()
    .prefault(null)
    .meta(
      text('whether admins are asked when an unknown client connects without a secret', {
        byDefault: 'off in a new installation, on in one that nsecbunkerd left',
      }),
    ),
  keystore: z
    .object({
      dir: z
        .string()
        .min(1)
        .nullable()
        .prefault(null)
        .meta(text('folder of the sealed keys', { byDefault: '`keystore` in the data folder' })),
      logN: z.int().min(14).max(22).prefault(17).meta(text('cost of new passphrases: scrypt with N = 2^logN')),
    })
    .prefault({}),
  log: z
    .object({
      level: logLevel.prefault('info').meta(text('the least level that is written', { live: true })),
      levels: z
        .array(moduleLevel)
        .prefault([])
        .meta(text('levels of single modules, for example `relays=debug`', { live: true })),
      format: z
        .enum(['auto', 'json', 'pretty'])
        .prefault('auto')
        .meta(text('JSON lines, pretty lines, or `auto`: pretty on a terminal', { live: true })),
    })
    .prefault({}),
});
