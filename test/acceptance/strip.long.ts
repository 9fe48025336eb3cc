// deadline: 300 s
// runs alone
/** The long form of strip.test.ts: 200,000 copies, and what p99 does meanwhile. */
process.env.REDOUBT_STRIP_COPIES ??= '200000';
process.env.REDOUBT_STRIP_BASELINE_MS ??= '10000';
await import('./strip.test.ts');
