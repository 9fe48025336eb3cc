import { loadLibrary } from '../../src/curve/native-library.ts';

/** What a machine may lack, and tests can do without. */
const PARTS: { [part: string]: () => Promise<unknown> } = {
  libsecp256k1: () => loadLibrary(),
};

/** Whether this machine lacks it. @throws Error for what is no such part */
export async function lacks(part: string): Promise<boolean> {
  const load = PARTS[part];
  if (load === undefined)
    throw new Error(`test/skips.json: there is no part ${part}: ${Object.keys(PARTS).join(', ')}`);
  return load().then(
    () => false,
    () => true,
  );
}
