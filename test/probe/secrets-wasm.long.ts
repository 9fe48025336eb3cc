// deadline: 900 s
// runs alone
/** secrets.long.ts, which takes the fastest backend, with the one that every machine has. */
process.env.REDOUBT_PROBE_CURVE = 'wasm';
await import('./secrets.long.ts');
