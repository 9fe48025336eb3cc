/** Bounds of relay frames, and of the embedded relay over its socket (docs/RELAYS.md). */
import { systemClock } from '../../../src/actor/clock.ts';
import { EmbeddedRelay } from '../../../src/relay/embedded.ts';
import { DEFAULT_EMBEDDED_LIMITS as LIMITS } from '../../../src/relay/embedded-limits.ts';
import { frameLimit, MAX_OBJECTS, REQUEST_LIMIT, readClientFrame, readRelayFrame } from '../../../src/relay/frame.ts';
import { unsigned } from '../../relay/events.ts';
import { RawClient } from '../../relay/raw-client.ts';
import type { Bound } from './bound.ts';

const MAX = LIMITS.maxContent;
const FRAME = frameLimit(MAX);
/** All its limits are the default ones but for this: it takes a thousand sockets to reach that. */
const CONNECTIONS = 4;
const OURS = 'ef'.repeat(32);
const relay = new EmbeddedRelay({
  port: 0,
  clock: systemClock,
  random: Math.random,
  isOurs: (pubkey) => pubkey === OURS,
  verify: async () => true,
  software: { name: 'redoubt', version: '0' },
  limits: { connections: CONNECTIONS },
});
relay.onEvent(({ verdict }) => verdict?.(true));
await relay.start();

const content = (text: string) => readClientFrame(`["EVENT",${unsigned({ content: text })}]`, MAX).type === 'EVENT';
const kind = (kind: number) => readClientFrame(`["EVENT",${unsigned({ kind })}]`, MAX).type === 'EVENT';

/** A client of its own, as fresh as the bound needs it. */
async function withClient<T>(use: (client: RawClient) => Promise<T>): Promise<T> {
  const client = await RawClient.connect(relay.url!);
  try {
    return await use(client);
  } finally {
    client.close();
    while (relay.connections > 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** What the relay says of the last subscription that is asked for. */
async function subscribes(client: RawClient, id: string, ...filters: object[]): Promise<boolean> {
  client.send(['REQ', id, ...filters]);
  for (;;) {
    const answer = client.frames.find((frame) => frame[1] === id);
    if (answer !== undefined) return answer[0] === 'EOSE';
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const hex = (i: number) => i.toString(16).padStart(64, '0');

export const RELAY = {
  close: () => relay.close(),
  bounds: [
    { what: 'content of an event, one byte each (bytes)', limit: MAX, passes: (n) => content('x'.repeat(n)) },
    {
      what: 'content of an event, three bytes each (bytes)',
      limit: MAX,
      passes: (n) => content('\u2028'.repeat(Math.floor(n / 3)) + 'x'.repeat(n % 3)),
    },
    { what: 'kind of an event', limit: 65_535, passes: kind },
    { what: 'kind of an event, least', limit: 0, least: true, passes: kind },
    {
      what: "frame of a client's (bytes)",
      limit: FRAME,
      passes: (n) => readClientFrame(`["EVENT",${unsigned()}]`.padEnd(n), MAX).type === 'EVENT',
    },
    {
      what: "frame of a client's that is no event (bytes)",
      limit: REQUEST_LIMIT,
      passes: (n) => readClientFrame('["CLOSE","s"]'.padEnd(n), MAX).type === 'CLOSE',
    },
    {
      what: 'objects in a frame',
      limit: MAX_OBJECTS,
      passes: (n) => readClientFrame(JSON.stringify(['REQ', 's', ...Array(n).fill({})]), MAX).type === 'REQ',
    },
    {
      what: "frame of a relay's (bytes)",
      limit: FRAME,
      passes: (n) => readRelayFrame('["NOTICE","s"]'.padEnd(n), MAX).type === 'NOTICE',
    },
    {
      what: 'subscription id',
      limit: 64,
      passes: (n) => readClientFrame(JSON.stringify(['CLOSE', 'x'.repeat(n)]), MAX).type === 'CLOSE',
    },
    {
      what: 'subscription id, least',
      limit: 1,
      least: true,
      passes: (n) => readClientFrame(JSON.stringify(['CLOSE', 'x'.repeat(n)]), MAX).type === 'CLOSE',
    },
    {
      what: 'frame on a socket (bytes): answered, or the connection ends',
      limit: 2 * FRAME,
      passes: (n) =>
        withClient(async (client) => {
          client.send('x'.repeat(n));
          while (client.closed === null && client.frames.length === 0)
            await new Promise((resolve) => setTimeout(resolve, 2));
          return client.closed === null;
        }),
    },
    {
      what: 'tags of an event',
      limit: LIMITS.maxTags,
      passes: (n) =>
        withClient(async (client) => {
          client.publish(unsigned({ tags: Array(n).fill(['t']) }));
          return (await client.next('OK'))[2] === true;
        }),
    },
    {
      what: 'filters of a REQ',
      limit: LIMITS.filters,
      passes: (n) => withClient((client) => subscribes(client, 's', ...Array<object>(n).fill({ kinds: [1] }))),
    },
    {
      what: 'filters of a REQ, least',
      limit: 1,
      least: true,
      passes: (n) => withClient((client) => subscribes(client, 's', ...Array<object>(n).fill({}))),
    },
    {
      what: 'filter values of a connection',
      limit: LIMITS.filterValues,
      // As many as fit in a frame, several times.
      passes: (n) =>
        withClient(async (client) => {
          let ok = true;
          for (let left = n, i = 0; left > 0; left -= 1_900, i++) {
            const authors = Array.from({ length: Math.min(left, 1_900) }, (_, j) => hex(j));
            ok = await subscribes(client, `s${i}`, { authors });
          }
          return ok;
        }),
    },
    {
      what: 'filters of a connection without ids, authors and tags',
      limit: LIMITS.openFilters,
      passes: (n) =>
        withClient(async (client) => {
          for (let i = 1; i < n; i++) client.send(['REQ', `s${i}`, {}]);
          return subscribes(client, 'last', {});
        }),
    },
    {
      what: 'value of a tag in a filter (characters)',
      limit: LIMITS.tagValue,
      passes: (n) => withClient((client) => subscribes(client, 's', { '#t': ['x'.repeat(n)] })),
    },
    {
      what: 'subscriptions of a connection',
      limit: LIMITS.subscriptions,
      passes: (n) =>
        withClient(async (client) => {
          for (let i = 1; i < n; i++) client.send(['REQ', `s${i}`, { '#p': [hex(i)] }]);
          return subscribes(client, 'last', { '#p': [hex(n)] });
        }),
    },
    {
      what: 'connections',
      limit: CONNECTIONS,
      async passes(n) {
        const clients: RawClient[] = [];
        try {
          for (let i = 0; i < n; i++) {
            const client = await RawClient.connect(relay.url!);
            clients.push(client);
            // Otherwise it makes room for the next one.
            client.publish(unsigned({ tags: [['p', OURS]] }));
            await client.next('OK');
          }
          return true;
        } catch {
          return false;
        } finally {
          for (const client of clients) client.close();
          while (relay.connections > 0) await new Promise((resolve) => setTimeout(resolve, 2));
        }
      },
    },
  ] satisfies Bound[] as Bound[],
};
