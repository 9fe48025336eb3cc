/** What comes over a socket in plain sight: frames, filters, events, and the templates that clients want signed. */
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import * as z from 'zod';
import { checkTemplate, parseEvent } from '../../../src/nip46/event.ts';
import { readFilter } from '../../../src/relay/filter.ts';
import {
  frameLimit,
  MAX_OBJECTS,
  type RefusedFrame,
  readClientFrame,
  readRelayFrame,
} from '../../../src/relay/frame.ts';
import { bytesOf, type Judged, type Layer, textOf } from '../layer.ts';
import { mutatedJson, rawText } from '../mutate.ts';

export const MAX_CONTENT = 2_000;
export const NOW = 1_767_225_600;
export const SIGNER = 'ab'.repeat(32);
const CLIENT = 'cd'.repeat(32);

export const EVENT = {
  id: '12'.repeat(32),
  pubkey: CLIENT,
  created_at: NOW,
  kind: 24_133,
  tags: [['p', SIGNER, 'wss://relay.example'], ['alt', 'a "quoted" }] text \u{1f5dd}'], []],
  content: 'AAAA?iv=AAAA',
  sig: '34'.repeat(64),
};
export const TEMPLATE = {
  kind: 1,
  created_at: NOW,
  tags: [
    ['t', 'a'],
    ['e', CLIENT],
  ],
  content: 'hello \u{1f5dd}',
};
const FILTER = {
  kinds: [24_133, 24_134],
  authors: [CLIENT],
  '#p': [SIGNER],
  '#t': ['a'],
  since: NOW,
  until: NOW + 10,
  limit: 0,
  search: 'x',
};

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const wellFormed = z.string().refine((text) => text.isWellFormed());
const kind = z.int().min(0).max(65_535);
const seconds = z.int().min(0);
const sig = z.string().regex(/^[0-9a-f]{128}$/);
const strictEvent = z.object({
  id: hex32,
  pubkey: hex32,
  created_at: seconds,
  kind,
  tags: z.array(z.array(wellFormed)),
  content: wellFormed,
  sig,
});
/** On the way through a relay nobody looks for halves of surrogate pairs. */
const wireEvent = strictEvent.extend({
  tags: z.array(z.array(z.string())),
  content: z.string().refine((text) => Buffer.byteLength(text) <= MAX_CONTENT),
});
const template = strictEvent
  .omit({ id: true, sig: true })
  .extend({ created_at: seconds.max(NOW + 900).default(NOW), pubkey: z.literal(SIGNER).default(SIGNER) });
const subscription = z.string().min(1).max(64);
const clientFrame = z.union([
  z.tuple([z.literal('EVENT'), wireEvent]),
  z.tuple([z.literal('REQ'), subscription]).rest(z.unknown()),
  z.tuple([z.literal('CLOSE'), subscription]).rest(z.unknown()),
]);
const rest = z.unknown();
const relayFrame = z.union([
  z.tuple([z.literal('EVENT'), z.string(), wireEvent]),
  z.tuple([z.literal('OK'), z.string(), z.boolean()]).rest(rest),
  z.tuple([z.enum(['EOSE', 'CLOSED', 'NOTICE', 'AUTH']), z.string()]).rest(rest),
]);
const filter = z.looseObject({
  ids: z.array(hex32).optional(),
  authors: z.array(hex32).optional(),
  '#p': z.array(hex32).optional(),
  kinds: z.array(seconds).optional(),
  since: seconds.optional(),
  until: seconds.optional(),
  limit: seconds.optional(),
});

export function parsesAs(schema: z.ZodType, text: string): boolean {
  try {
    return schema.safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}

/** A frame is in bounds, and the text of its event is the event. */
function judgeFrame(frame: { type: string; event?: { raw: string } } | RefusedFrame, text: string): Judged {
  if ('refusal' in frame) return { outcome: frame.refusal, said: [frame.reason, frame.id ?? ''], size: 0 };
  if (frame.event !== undefined) {
    const message = JSON.parse(text) as unknown[];
    assert.is(JSON.stringify(JSON.parse(frame.event.raw)), JSON.stringify(message.at(-1)), 'another event was cut out');
  }
  return { outcome: 'accepted', said: [], size: frame.event?.raw.length ?? 0 };
}

/** Whole strings of JSON, and one that does not end. */
const STRINGS = /"(?:\\.|[^"\\])*"?/gs;

const fits = (text: string) =>
  Buffer.byteLength(text) <= frameLimit(MAX_CONTENT) && text.replace(STRINGS, '').split('{').length <= MAX_OBJECTS + 1;

const clientFrames: Layer = {
  name: 'client frame',
  inputs: fc.oneof(
    {
      weight: 9,
      arbitrary: mutatedJson([
        ['EVENT', EVENT],
        ['REQ', 'sub', FILTER, {}],
        ['CLOSE', 'sub'],
      ]),
    },
    { weight: 1, arbitrary: rawText },
  ),
  judge: (input) => judgeFrame(readClientFrame(bytesOf(input), MAX_CONTENT), textOf(bytesOf(input))),
  isValid: (input) => fits(textOf(bytesOf(input))) && parsesAs(clientFrame, textOf(bytesOf(input))),
};

const relayFrames: Layer = {
  name: 'relay frame',
  inputs: fc.oneof(
    {
      weight: 9,
      arbitrary: mutatedJson([
        ['EVENT', 'sub "{1\\', EVENT],
        ['OK', EVENT.id, true, 'duplicate: x'],
        ['EOSE', 'sub'],
        ['CLOSED', 'sub', 'auth-required: x'],
        ['NOTICE', 'x'],
        ['AUTH', 'challenge'],
      ]),
    },
    { weight: 1, arbitrary: rawText },
  ),
  judge: (input) => judgeFrame(readRelayFrame(bytesOf(input), MAX_CONTENT), textOf(bytesOf(input))),
  isValid: (input) => fits(textOf(bytesOf(input))) && parsesAs(relayFrame, textOf(bytesOf(input))),
};

const filters: Layer = {
  name: 'filter',
  inputs: mutatedJson([FILTER, { ids: [EVENT.id], '#e': ['x'] }]),
  judge(input) {
    const value = parsed(textOf(input));
    if (value === undefined) return { outcome: 'not JSON', said: [], size: 0 };
    const read = readFilter(value, 1024);
    return typeof read === 'string'
      ? { outcome: read, said: [read], size: 0 }
      : { outcome: 'accepted', said: [], size: read.values };
  },
  isValid: (input) => {
    const value = parsed(textOf(input));
    if (!filter.safeParse(value).success) return false;
    const letters = Object.entries(value as object).filter(([key]) => /^#[a-zA-Z]$/.test(key));
    return letters.every(([, values]) => z.array(z.string().max(1024)).safeParse(values).success);
  },
};

const events: Layer = {
  name: 'event',
  inputs: fc.oneof({ weight: 9, arbitrary: mutatedJson([EVENT]) }, { weight: 1, arbitrary: rawText }),
  judge(input) {
    const event = parseEvent(textOf(input));
    if (event === null) return { outcome: 'no event', said: [], size: 0 };
    return { outcome: 'accepted', said: [], size: JSON.stringify(event).length };
  },
  isValid: (input) => parsesAs(strictEvent, textOf(input)),
};

const templates: Layer = {
  name: 'template',
  inputs: fc.oneof(
    { weight: 9, arbitrary: mutatedJson([TEMPLATE, { ...TEMPLATE, pubkey: SIGNER, id: EVENT.id, sig: 7 }]) },
    { weight: 1, arbitrary: rawText },
  ),
  judge(input) {
    const checked = checkTemplate(textOf(input), { pubkey: SIGNER, now: NOW, maxFuture: 900 });
    if (!checked.ok) return { outcome: checked.error, said: [checked.error], size: 0 };
    return { outcome: 'accepted', said: [], size: JSON.stringify(checked.event).length };
  },
  isValid: (input) => parsesAs(template, textOf(input)),
};

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const WIRE: readonly Layer[] = [clientFrames, relayFrames, filters, events, templates];
