/** Entry point of the thread that verifies events of strangers. It holds no secret, and keeps nothing between two. */
import type { Curve, CurveChoice } from '../src/curve/curve.ts';
import { loadCurve } from '../src/curve/load.ts';
import { parseEvent } from '../src/nip46/event.ts';
import { isGenuine } from '../src/nip46/signed.ts';
import type { Chosen, VerifyTask } from '../src/nip46/verify-pool.ts';

let curve: Promise<Curve> | undefined;

export default async function run(task: VerifyTask): Promise<boolean | Chosen> {
  return 'choose' in task ? choose(task.choose) : verify(task.raw, task.curve);
}

/** Whether this JSON is an event with the id and signature that NIP-01 gives it. */
async function verify(raw: string, wanted: CurveChoice): Promise<boolean> {
  const event = parseEvent(raw);
  if (event === null) return false;
  curve ??= loadCurve(wanted);
  return isGenuine(await curve, event);
}

async function choose(wanted: CurveChoice): Promise<Chosen> {
  const passedOver: string[] = [];
  const loading = loadCurve(wanted, undefined, (line) => passedOver.push(line));
  try {
    const { name } = await loading;
    curve = loading;
    return { ok: true, curve: name, passedOver };
  } catch (error) {
    // The line is ours: src/curve/load.ts.
    return { ok: false, refusal: (error as Error).message };
  }
}
