// deadline: 600 s
// runs alone
/** The long form of secrets.test.ts: after 1,000 signatures. */
process.env.REDOUBT_PROBE_SIGNATURES ??= '1000';
await import('./secrets.test.ts');
