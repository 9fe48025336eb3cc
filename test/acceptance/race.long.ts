// deadline: 600 s
/** The long form of race.test.ts: 256 rounds. */
process.env.REDOUBT_RACE_ROUNDS ??= '256';
await import('./race.test.ts');
