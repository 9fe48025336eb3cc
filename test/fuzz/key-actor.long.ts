// deadline: 900 s
/** The long form of key-actor.test.ts: a million events. */
process.env.REDOUBT_FUZZ_EVENTS ??= '1000000';
await import('./key-actor.test.ts');
