// deadline: 1800 s
/** The long form of backends.test.ts: 10,000 random cases of each operation. */
process.env.REDOUBT_PROPERTY_CASES ??= '10000';
await import('./backends.test.ts');
