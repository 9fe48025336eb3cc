/** The long form of kill.test.ts. */
process.env.REDOUBT_KILLS ??= '500';
await import('./kill.test.ts');
