/** The long form of policy.test.ts. */
process.env.REDOUBT_SEQUENCES ??= '100000';
await import('./policy.test.ts');
