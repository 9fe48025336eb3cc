// deadline: 1800 s
/** The long form of kill.test.ts: 500 kills. */
process.env.REDOUBT_SIGNING_KILLS ??= '500';
await import('./kill.test.ts');
