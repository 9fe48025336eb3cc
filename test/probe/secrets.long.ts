// deadline: 900 s
// runs alone
/** The long form of secrets.test.ts: after 1,000 signatures, unlocks and imports. */
process.env.REDOUBT_PROBE_SIGNATURES ??= '1000';
process.env.REDOUBT_PROBE_UNLOCKS ??= '1000';
await import('./secrets.test.ts');
