// deadline: 4200 s
/** The long form of soak.test.ts: an hour, or REDOUBT_SOAK_MINUTES up to that. */
process.env.REDOUBT_SOAK_MINUTES ??= '60';
await import('./soak.test.ts');
