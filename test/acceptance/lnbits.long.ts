// deadline: 600 s
/** The long form of lnbits.test.ts: a host of fifty accounts. */
process.env.REDOUBT_LNBITS_ACCOUNTS ??= '50';
await import('./lnbits.test.ts');
