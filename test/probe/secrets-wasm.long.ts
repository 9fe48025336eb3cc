// deadline: 300 s
// runs alone
/** secrets.test.ts, which takes the fastest backend, with the one that every machine has. */
process.env.REDOUBT_PROBE_CURVE = 'wasm';
process.env.REDOUBT_PROBE_SIGNATURES ??= '200';
await import('./secrets.test.ts');
