/** The long form of counters.test.ts: 256 rounds. */
process.env.REDOUBT_RACE_ROUNDS ??= '256';
await import('./counters.test.ts');
