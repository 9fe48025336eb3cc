// deadline: 300 s
/** The long form of hostile.test.ts: 20,000 events. */
process.env.REDOUBT_HOSTILE_EVENTS ??= '20000';
await import('./hostile.test.ts');
