// deadline: 900 s
/** The long form of database.test.ts: 1,000 damaged files. */
process.env.REDOUBT_FUZZ_DATABASES ??= '1000';
await import('./database.test.ts');
