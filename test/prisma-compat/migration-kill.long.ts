/** The long form of migration-kill.test.ts. */
process.env.REDOUBT_KILLS ??= '300';
await import('./migration-kill.test.ts');
