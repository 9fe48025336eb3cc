/** In place of workers/verify.ts: a thread that dies or breaks when it is told to. */
import type { VerifyTask } from '../../src/nip46/verify-pool.ts';

let isBroken = false;

export default function run(task: VerifyTask): boolean {
  const raw = 'raw' in task ? task.raw : '';
  if (raw === 'die') process.exit(1);
  if (raw === 'break') isBroken = true;
  if (isBroken) throw new Error('broken for good');
  return true;
}
