/** The long form of secret-text.test.ts: 20,000 secrets each way. */
process.env.REDOUBT_FUZZ_SECRETS ??= '20000';
await import('./secret-text.test.ts');
