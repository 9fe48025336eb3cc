// deadline: 600 s
/** The long form of limit.test.ts: 256 rounds. */
process.env.REDOUBT_LIMIT_ROUNDS ??= '256';
await import('./limit.test.ts');
