// deadline: 600 s
/** The long form of layers.test.ts: 40,000 inputs of each layer. */
process.env.REDOUBT_FUZZ_CASES ??= '40000';
await import('./layers.test.ts');
