// deadline: 600 s
/** The long form of commits.test.ts. */
process.env.REDOUBT_SCHEDULES ??= '5000';
await import('./commits.test.ts');
