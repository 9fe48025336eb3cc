// deadline: 600 s
/** The long form of keystore.test.ts. */
process.env.REDOUBT_CRASHES ??= '2';
await import('./keystore.test.ts');
