export type Severity = 'info' | 'warning' | 'broken';

/**
 * What the doctor may find, and what to do about it; the names are stable. docs/DOCTOR.md lists the same, and a test
 * compares the two.
 */
export const FINDINGS = {
  configuration: { severity: 'broken', action: 'mend nsecbunker.json; "redoubt start" says the same about it' },
  'configuration-warning': { severity: 'warning', action: 'mend nsecbunker.json or the environment' },
  'database-missing': {
    severity: 'broken',
    action: 'stop, and put the database back: "redoubt restore FILE". Every pairing is in it',
  },
  'database-new': { severity: 'info', action: 'nothing: the daemon makes the database when it starts' },
  'database-refused': { severity: 'broken', action: 'do as it says, or "redoubt restore FILE"' },
  'database-damaged': { severity: 'broken', action: 'stop, keep the files as they are, and "redoubt restore FILE"' },
  'database-not-migrated': { severity: 'info', action: 'nothing: "redoubt start" adopts it, after a copy of its own' },
  'dangling-references': {
    severity: 'warning',
    action: 'look at the rows: their client or policy was deleted by hand',
  },
  photocopies: { severity: 'warning', action: '"redoubt strip-photocopies --dry-run", then without --dry-run' },
  'photocopies-of-revoked': { severity: 'warning', action: '"redoubt strip-photocopies"' },
  'photocopies-alone': {
    severity: 'warning',
    action: 'pair these clients anew if they are to go on: "redoubt strip-photocopies" ends what they may do',
  },
  'manual-overrides': {
    severity: 'info',
    action: 'nothing: "redoubt strip-photocopies" keeps them, and --all would not',
  },
  'key-without-row': { severity: 'warning', action: 'start the daemon, which lists it, or move its file away' },
  'row-without-key': { severity: 'broken', action: 'put the key back: "redoubt restore FILE", or import it anew' },
  'key-file-damaged': { severity: 'broken', action: 'put the file back from a backup' },
  'keystore-damaged': { severity: 'broken', action: 'put keystore.json back from a backup, with the key files' },
  'legacy-keys': { severity: 'warning', action: '"redoubt key upgrade": what seals them is quick to guess' },
  'tokens-expired': { severity: 'warning', action: 'pair these clients anew: "redoubt pair KEY"' },
  'tokens-expiring': { severity: 'warning', action: 'pair these clients anew before that: "redoubt pair KEY"' },
  'policies-expired': { severity: 'warning', action: 'pair their clients under another policy' },
  'policies-expiring': { severity: 'warning', action: 'make another policy, and pair their clients under it' },
  'guessable-tokens': {
    severity: 'warning',
    action: '"redoubt token revoke ID", and "redoubt token create" for new ones',
  },
  'kinds-in-all': { severity: 'warning', action: 'set redoubt.kindsNotInAll in nsecbunker.json' },
  'audit-broken': { severity: 'broken', action: 'keep the file as evidence; "redoubt audit verify" says where' },
  unreadable: {
    severity: 'broken',
    action: 'run this as the user of the daemon, or chown its files back to that user',
  },
  'file-mode': { severity: 'warning', action: 'chmod go= the files' },
  'file-owner': { severity: 'warning', action: 'chown the files to the user that the daemon runs as' },
  leftovers: { severity: 'warning', action: 'remove them, or let the next "redoubt backup" do it' },
  'disk-low': { severity: 'warning', action: 'make room: a copy of the database does not fit' },
  'disk-full': { severity: 'broken', action: 'make room: nothing can be signed when the audit log cannot be written' },
} as const satisfies { [name: string]: { severity: Severity; action: string } };

export type FindingName = keyof typeof FINDINGS;

export interface Finding {
  name: FindingName;
  severity: Severity;
  /** What was found, in one line. */
  message: string;
  action: string;
  /** What it is about: keys, clients, files. */
  items: string[];
}

export function finding(name: FindingName, message: string, items: string[] = []): Finding {
  return { name, ...FINDINGS[name], message, items };
}
