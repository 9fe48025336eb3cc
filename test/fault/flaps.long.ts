// deadline: 600 s
/** The long form of flaps.test.ts: three minutes. */
process.env.REDOUBT_FLAP_SECONDS ??= '180';
await import('./flaps.test.ts');
