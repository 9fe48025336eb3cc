/**
 * Entry point of the unlock pool's threads: one task at a time, nothing kept between two. What it returns goes to the
 * main thread, so it never throws: an exception's message may quote what it failed on.
 */
import { randomFillSync } from 'node:crypto';
import { type MessagePort, workerData } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { recover } from '../prisma-compat/from-file.ts';
import { newSecret } from '../src/actor/protocol.ts';
import type { CurveName } from '../src/curve/curve.ts';
import { loadCurve } from '../src/curve/load.ts';
import { inspectAutounlock } from '../src/keystore/autounlock.ts';
import { change } from '../src/keystore/change.ts';
import { create } from '../src/keystore/create.ts';
import { KeystoreFiles } from '../src/keystore/files.ts';
import { planChange, planCreate, planUnlock } from '../src/keystore/plan.ts';
import { prepare } from '../src/keystore/prepare.ts';
import type { ChangePlan, CreatePlan, PoolTask, UnlockPlan } from '../src/keystore/protocol.ts';
import { allFailed, unlock } from '../src/keystore/unlock.ts';

type Refused = { ok: false; refusal: string };
type Plan = CreatePlan | ChangePlan | UnlockPlan | Refused;

const random = (size: number) => randomFillSync(newSecret(size));

export default async function run(task: PoolTask): Promise<unknown> {
  try {
    return await carryOut(task);
  } catch (error) {
    const refusal = describe(task, error);
    if (task.op === 'recover') return { held: [], opened: [], failed: allFailed(task.keys, refusal).failed };
    return task.op === 'unlock' ? allFailed(task.keys, refusal) : { ok: false, refusal };
  } finally {
    for (const value of Object.values(task)) if (isPort(value)) value.close();
  }
}

function carryOut(task: PoolTask): Promise<unknown> {
  switch (task.op) {
    case 'prepare':
      return prepare(task.keystore);
    case 'remove':
      new KeystoreFiles(task.keystore).removeKey(task.pubkey);
      return Promise.resolve({ ok: true, value: null });
    case 'inspect':
      return Promise.resolve(inspectAutounlock(task.sources));
    case 'plan':
      return plan(task).then(withPorts);
    case 'change':
      return change(task, random);
    case 'create':
      return create(task, random, () => loadCurve((workerData as { curve?: CurveName } | null)?.curve));
    case 'unlock':
      return unlock(task);
    case 'recover':
      return recover(task, { random, loadCurve });
    default:
      return task satisfies never;
  }
}

function plan(task: Extract<PoolTask, { op: 'plan' }>): Promise<Plan> {
  switch (task.for) {
    case 'create':
      return planCreate(task);
    case 'change':
      return planChange(task);
    case 'unlock':
      return planUnlock(task, { random, loadCurve });
    default:
      return task satisfies never;
  }
}

/** A plan gives the ports in it away. */
function withPorts(plan: Plan): unknown {
  if (!plan.ok) return plan;
  const ports = ('parts' in plan ? plan.parts : [plan]).flatMap((part) => Object.values(part).filter(isPort));
  return move({ [valueSymbol]: plan, [transferableSymbol]: ports } as never);
}

function isPort(value: unknown): value is MessagePort {
  return typeof value === 'object' && value !== null && 'postMessage' in value;
}

function describe(task: PoolTask, error: unknown): string {
  const { name, code, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined || task.op === 'recover')
    return `the unlocker failed (${code ?? name}) at ${task.op}: try again`;
  const where = 'keystore' in task ? `the keystore ${task.keystore}` : 'what autounlock reads';
  return `${where} cannot be used (${code} at ${syscall}): see to its space, owner and mode`;
}
