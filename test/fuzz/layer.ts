import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import * as assert from 'uvu/assert';

export type Input = string | Buffer;

/** What a layer makes of one input. */
export interface Judged {
  /** `accepted`, or the refusal under the name that the layer gives it. */
  outcome: string;
  /** Every text that leaves the layer for a log, an error or a client. No secret may be in one. */
  said: readonly string[];
  /** Characters or bytes of all that it made of the input. */
  size: number;
}

/** A layer that takes bytes from outside. */
export interface Layer {
  name: string;
  /** Valid inputs, changed; they hold `CANARY` and `CANARY_KEY` where a secret belongs. */
  inputs: fc.Arbitrary<Input>;
  /** By the public function of the layer. @throws nothing: whatever it throws is a finding */
  judge(input: Input): Judged;
  /** The same question answered slowly, from the text of the protocol. Left out where there is none. */
  isValid?: (input: Input) => boolean;
}

/** Half of it is still known for what it is. */
export const CANARY = 'cAnArY7q'.repeat(4);
/** A private key, in hex. */
export const CANARY_KEY = 'c0ffee77'.repeat(8);
const TRACES = ['cAnArY7q', 'c0ffee77c0ff', 'C0FFEE77C0FF', Buffer.from(CANARY).toString('base64').slice(0, 24)];

/** Fixed, so that what is found is found again; REDOUBT_FUZZ_SEED=random or a number looks elsewhere. */
export const SEED = seed(process.env.REDOUBT_FUZZ_SEED);
/** How much more than the short form. */
export const SCALE = Number(process.env.REDOUBT_FUZZ_SCALE ?? 1);

function seed(text: string | undefined): number {
  return text === 'random' ? randomInt(2 ** 31) : Number(text ?? 20_260_101);
}

export function hasTrace(text: string): boolean {
  return TRACES.some((trace) => text.includes(trace));
}

/** Text of an input; bytes that are no UTF-8 are read as a socket's reader would. */
export function textOf(input: Input): string {
  return typeof input === 'string' ? input : input.toString('utf8');
}

export function bytesOf(input: Input): Buffer {
  return typeof input === 'string' ? Buffer.from(input) : input;
}

/** Judges one input, and holds the layer to its promises. */
export function check(layer: Layer, input: Input): Judged {
  const judged = layer.judge(input);
  for (const text of judged.said) {
    for (const trace of TRACES) assert.not.ok(text.includes(trace), `${layer.name} says a secret: ${judged.outcome}`);
    assert.ok(text.length <= 4_096, `${layer.name} says ${text.length} characters`);
  }
  assert.ok(judged.size <= 8 * bytesOf(input).length + 4_096, `${layer.name} made ${judged.size} of it`);
  if (layer.isValid !== undefined) {
    assert.is(judged.outcome === 'accepted', layer.isValid(input), `${layer.name}: ${judged.outcome}`);
  }
  return judged;
}

/** Runs a layer over so many inputs; the error of a failure names the seed, the path and the smallest input. */
export function fuzz(layer: Layer, cases: number): { accepted: number; refused: Record<string, number> } {
  let accepted = 0;
  const refused: Record<string, number> = {};
  fc.assert(
    fc.property(layer.inputs, (input) => {
      const { outcome } = check(layer, input);
      if (outcome === 'accepted') accepted++;
      else refused[outcome] = (refused[outcome] ?? 0) + 1;
    }),
    { numRuns: cases, seed: SEED, includeErrorInReport: true },
  );
  return { accepted, refused };
}

/** The name as a file has it. */
export function slug(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
}
