/** What is promised, and which test files show it: docs/RELIABILITY.md is made of this and of the last runs. */
export interface Promised {
  /** Also the first word of the line of figures that a file prints for it (test/runner/figures.ts). */
  id: string;
  promise: string;
  /** What is done to it, in a line. */
  how: string;
  /** Paths from the root. Files that print figures under this id belong to it as well, listed or not. */
  files: string[];
}

const inTest = (files: string) => files.split(' ').map((file) => `test/${file}.ts`);

export const PROMISES: readonly Promised[] = [
  {
    id: 'R1',
    promise: 'The main thread sees no secret, and a locked key is gone from memory',
    how: 'keys are created, imported, unlocked and used; then a heap snapshot, a tap on every port and a scan of the process are searched, each of which first finds a secret that was planted',
    files: inTest('probe/secrets.test probe/secrets.long probe/secrets-wasm.long curve/wipe.test'),
  },
  {
    id: 'R2',
    promise: 'No secret reaches logs, errors, the database or a crash report',
    how: 'canary secrets are looked for in all that a run under faults has printed, answered and left on disk',
    files: inTest('log/log.test log/secrets.test probe/secrets.test soak/soak.test soak/soak.long'),
  },
  {
    id: 'R3',
    promise: 'There is no inspector to attach to and no core dump to read',
    how: 'SIGUSR1 while the listening sockets are watched; what the process makes of core limits',
    files: inTest('acceptance/process.test host/no-dumps.test'),
  },
  {
    id: 'R4',
    promise: 'Every signature that leaves is recorded, and no counter lets one too many through',
    how: 'kill -9 at random moments under load; then clients, audit log, counters and chain are compared',
    files: inTest('fault/kill.test policy/kill.test policy/kill.long soak/soak.test soak/soak.long'),
  },
  {
    id: 'R5',
    promise: 'What was answered survives a power cut',
    how: 'write-ahead log and full synchronisation, checked at each start; a database that does not take them is refused',
    files: inTest('store/open.test'),
  },
  {
    id: 'R6',
    promise: 'A limit is a limit, however many ask at once',
    how: 'limit 1 and 64 clients at once, in rounds: one is allowed in each',
    files: inTest('policy/counters.test policy/redeem.test acceptance/race.test acceptance/race.long'),
  },
  {
    id: 'R7',
    promise:
      'A database that is locked, full or gone stops the signing and nothing else, and service comes back by itself',
    how: 'another process holds the lock; a disk is filled to the last block; the file is moved away',
    files: inTest('fault/database.test policy/journal.test'),
  },
  {
    id: 'R8',
    promise: 'What cannot be recorded is not signed',
    how: 'the write fails, finds no room, or hangs',
    files: inTest('fault/database.test policy/journal.test'),
  },
  {
    id: 'R9',
    promise: "One key's fault is felt by no other",
    how: 'a key thread throws, exits, runs out of memory or loops for ever while others are under load',
    files: inTest('fault/key-thread.test'),
  },
  {
    id: 'R10',
    promise: 'A key that crashes again and again is quarantined, and named',
    how: 'the same fault in the same key, until it is not started any more',
    files: inTest('fault/key-thread.test actor/restarts.test'),
  },
  {
    id: 'R11',
    promise: 'Whatever is sent to it: no crash, no signature, no growth',
    how: 'events, envelopes, ciphertexts, JSON-RPC and templates, mutated by their structure',
    files: inTest('fuzz/archive.test fuzz/hostile.test fuzz/hostile.long'),
  },
  {
    id: 'R12',
    promise: 'Each kind of bad input has its own error, and gets that one',
    how: 'the invalid vectors of NIP-44 and of BIP-340, and cases of each refusal',
    files: inTest('nip46/nip44.test nip46/event.test curve/bip340.test'),
  },
  {
    id: 'R13',
    promise: 'Sizes are bounded before anything is parsed',
    how: 'one below each bound, the bound, and one above it',
    files: inTest('relay/frame.test acceptance/limits.test'),
  },
  {
    id: 'R14',
    promise: 'A replay changes nothing',
    how: 'one event over several relays and sockets, after a restart, and its request in new envelopes with new dates: one signature, one use',
    files: inTest('acceptance/replay.test acceptance/replay-relays.test fault/relay.test policy/replay.test'),
  },
  {
    id: 'R15',
    promise: 'Clocks may jump: nothing fires early, and what was refused as expired stays refused',
    how: 'the clock is moved by hours, days and a month while the daemon runs',
    files: inTest('policy/counters.test policy/replay.test'),
  },
  {
    id: 'R16',
    promise: 'Relays may flap: each request is answered once or expires, and nothing piles up',
    how: 'relays go down and up, keep silent, are slow, lose and repeat events',
    files: inTest('fault/relay.test soak/soak.test soak/soak.long'),
  },
  {
    id: 'R17',
    promise: 'Overload is answered, and an operator gets through it',
    how: 'ten times the load that it can take; lock_key meanwhile',
    files: inTest('acceptance/limits.test'),
  },
  {
    id: 'R18',
    promise: 'The policy decides as docs/POLICY.md says',
    how: 'random sequences of actions, compared with a second evaluator that was written straight from that page',
    files: inTest('property/policy.test property/policy.long'),
  },
  {
    id: 'R19',
    promise: "Nothing is allowed after a revocation's answer",
    how: 'a client is revoked with a thousand requests in flight',
    files: inTest('acceptance/limits.test policy/counters.test'),
  },
  {
    id: 'R20',
    promise: 'Work that comes too late is not done',
    how: 'requests wait until their deadline has passed',
    files: inTest('acceptance/limits.test policy/journal.test'),
  },
  {
    id: 'R21',
    promise: 'Maintenance loses nothing',
    how: 'a backup under load is restored, photocopies are stripped under load, a migration is killed at every moment',
    files: inTest(
      'acceptance/backup.test acceptance/strip.test acceptance/strip.long prisma-compat/migration-kill.test prisma-compat/migration-kill.long',
    ),
  },
  {
    id: 'soak',
    promise: 'All of it at once leaves it as it was',
    how: 'for an hour, or as long as the figures say: mixed traffic of many clients, admins and strangers over two relays; kills, stops, locks and relay faults in between',
    files: inTest('soak/soak.test soak/soak.long'),
  },
];
