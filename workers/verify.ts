/** Entry point of the thread that verifies events of strangers. It holds no secret, and keeps nothing between two. */
import { workerData } from 'node:worker_threads';
import type { Curve, CurveName } from '../src/curve/curve.ts';
import { loadCurve } from '../src/curve/load.ts';
import { parseEvent } from '../src/nip46/event.ts';
import { isGenuine } from '../src/nip46/signed.ts';

let curve: Promise<Curve> | undefined;

/** Whether this JSON is an event with the id and signature that NIP-01 gives it. */
export default async function verify(raw: string): Promise<boolean> {
  const event = parseEvent(raw);
  if (event === null) return false;
  curve ??= loadCurve((workerData as { curve?: CurveName } | null)?.curve);
  return isGenuine(await curve, event);
}
