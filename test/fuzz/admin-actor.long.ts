// deadline: 600 s
/** The long form of admin-actor.test.ts: 6,000 messages. */
process.env.REDOUBT_FUZZ_ADMIN ??= '6000';
await import('./admin-actor.test.ts');
