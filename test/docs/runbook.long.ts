// deadline: 300 s
/** The long form of runbook.test.ts: each command in a process of its own. */
process.env.REDOUBT_RUNBOOK_PROCESSES = '1';
await import('./runbook.test.ts');
