import type { Curve, CurveChoice, CurveName } from './curve.ts';
import { pooledRandom, type Random } from './random.ts';

/** Fastest first. Imported when chosen: what is not used costs a worker nothing. */
const BACKENDS: { [name in CurveName]: (random: Random) => Curve | Promise<Curve> } = {
  native: async (random) => (await import('./native.ts')).nativeCurve(random),
  wasm: async (random) => (await import('./wasm.ts')).wasmCurve(random),
  noble: async (random) => (await import('./noble.ts')).nobleCurve(random),
};

/**
 * The backend that is asked for, else the fastest that loads.
 *
 * @param passedOver told, in one line, of each that was tried in vain
 * @throws Error in one line when `wanted` does not load
 */
export async function loadCurve(
  wanted: CurveChoice = 'auto',
  random: Random = pooledRandom(),
  passedOver: (line: string) => void = () => {},
): Promise<Curve> {
  const names = Object.keys(BACKENDS) as CurveName[];
  for (const name of wanted === 'auto' ? names : [wanted]) {
    try {
      return await BACKENDS[name](random);
    } catch (error) {
      const line = `curve backend ${name} does not load (${reason(error)})`;
      if (wanted !== 'auto') throw new Error(`${line}: use ${others(name, names)}, or auto`);
      passedOver(line);
    }
  }
  throw new Error(`no curve backend loads: ${names.join(', ')} were tried`);
}

function others(name: CurveName, names: CurveName[]): string {
  return names.filter((other) => other !== name).join(', ');
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message.split('\n', 1)[0]! : 'not an Error';
}
