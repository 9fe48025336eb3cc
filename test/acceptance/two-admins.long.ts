// deadline: 600 s
/** The long form of two-admins.test.ts: 500 requests. */
process.env.REDOUBT_TWO_ADMINS_REQUESTS ??= '500';
await import('./two-admins.test.ts');
