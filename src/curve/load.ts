import type { Curve, CurveName } from './curve.ts';
import { pooledRandom, type Random } from './random.ts';

/** Fastest first. Imported when chosen: what is not used costs a worker nothing. */
const BACKENDS: { [name in CurveName]?: (random: Random) => Promise<Curve> } = {
  wasm: async (random) => (await import('./wasm.ts')).wasmCurve(random),
  noble: async (random) => (await import('./noble.ts')).nobleCurve(random),
};

/**
 * The backend that is asked for, else the fastest that loads.
 *
 * @throws Error in one line when `wanted` does not exist here or does not load
 */
export async function loadCurve(wanted?: CurveName, random: Random = pooledRandom()): Promise<Curve> {
  const names = Object.keys(BACKENDS) as CurveName[];
  for (const name of wanted === undefined ? names : [wanted]) {
    const load = BACKENDS[name];
    if (load === undefined) throw new Error(`there is no curve backend ${name} here: use ${names.join(' or ')}`);
    try {
      return await load(random);
    } catch (error) {
      if (name === wanted)
        throw new Error(`curve backend ${name} does not load (${reason(error)}): ${others(name, names)}`);
    }
  }
  throw new Error(`no curve backend loads: ${names.join(', ')} were tried`);
}

function others(name: CurveName, names: CurveName[]): string {
  return `use ${names.filter((other) => other !== name).join(' or ')}`;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message.split('\n', 1)[0]! : 'not an Error';
}
