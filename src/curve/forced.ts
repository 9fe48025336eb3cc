import type { CurveChoice } from './curve.ts';

const CHOICES: readonly string[] = ['auto', 'native', 'wasm', 'noble'] satisfies CurveChoice[];

/**
 * The curve that the environment names, for what needs one before the configuration is read. Undefined when it names
 * none; what is no curve, the configuration refuses.
 */
export function forcedCurve(env: { readonly [name: string]: string | undefined }): CurveChoice | undefined {
  return asChoice(env.REDOUBT_CURVE?.trim());
}

/** The curve that nsecbunker.json names. @param redoubt our own options, as JSON text */
export function curveInFile(redoubt: string): CurveChoice | undefined {
  try {
    return asChoice((JSON.parse(redoubt || '{}') as { curve?: unknown } | null)?.curve);
  } catch {
    return undefined;
  }
}

function asChoice(value: unknown): CurveChoice | undefined {
  return typeof value === 'string' && CHOICES.includes(value) ? (value as CurveChoice) : undefined;
}
