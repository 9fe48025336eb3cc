// deadline: 600 s
/** The long form of sockets.test.ts: 1,000 rounds each way. */
process.env.REDOUBT_FUZZ_ROUNDS ??= '1000';
await import('./sockets.test.ts');
