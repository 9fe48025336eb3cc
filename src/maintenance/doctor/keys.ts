import type { KeystoreFiles } from '../../keystore/files.ts';
import { selectFrom } from '../columns.ts';
import { type Finding, finding } from './finding.ts';
import type { Opened } from './patient.ts';

/** Rows and key files against each other. A key in nsecbunker.json is known by its name, one in the keystore by its pubkey. */
export function examineKeys({ db, legacyKeys }: Opened, keystore: KeystoreFiles): Finding[] {
  const rows = db.prepare(selectFrom(db, 'Key', ['keyName', 'pubkey', 'deletedAt'])).all() as {
    keyName: string;
    pubkey: string;
    deletedAt: unknown;
  }[];
  const files = new Set(keystore.pubkeys());
  const legacy = new Set(legacyKeys);
  const named = new Set(rows.map(({ keyName }) => keyName));
  const known = new Set(rows.map(({ pubkey }) => pubkey));
  const without = [
    ...[...files].filter((pubkey) => !known.has(pubkey)).map((pubkey) => `${pubkey}.json`),
    ...legacyKeys.filter((name) => !named.has(name)),
  ];
  const lost = rows.filter(
    ({ keyName, pubkey, deletedAt }) => deletedAt === null && !files.has(pubkey) && !legacy.has(keyName),
  );
  const findings: Finding[] = [];
  if (without.length > 0) {
    findings.push(finding('key-without-row', `${without.length} keys have no row in the database`, without));
  }
  if (lost.length > 0) {
    const message = `${lost.length} keys have a row and no file: nothing can be signed with them`;
    findings.push(
      finding(
        'row-without-key',
        message,
        lost.map(({ keyName }) => keyName),
      ),
    );
  }
  const renamed = rows.filter(({ keyName, pubkey }) => {
    if (!files.has(pubkey)) return false;
    const file = keystore.key(pubkey);
    return file.ok && file.sealed.name !== keyName;
  });
  if (renamed.length > 0) {
    const message = `${renamed.length} key files hold another name than their row`;
    findings.push(
      finding(
        'key-file-damaged',
        message,
        renamed.map(({ keyName }) => keyName),
      ),
    );
  }
  return findings;
}

/** What can be said without a database. */
export function examineKeystore(keystore: KeystoreFiles, legacyKeys: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const slots = keystore.slots();
  if (!slots.ok) findings.push(finding('keystore-damaged', slots.refusal));
  const known = new Set(slots.ok ? slots.slots.map(({ id }) => id) : []);
  const damaged = keystore.pubkeys().filter((pubkey) => {
    const file = keystore.key(pubkey);
    return !file.ok || (slots.ok && !known.has(file.sealed.slot));
  });
  if (damaged.length > 0) {
    findings.push(finding('key-file-damaged', `${damaged.length} key files are damaged, or lack their slot`, damaged));
  }
  if (legacyKeys.length > 0) {
    const message = `${legacyKeys.length} keys lie in nsecbunker.json, sealed as nsecbunkerd did or not at all`;
    findings.push(finding('legacy-keys', message, [...legacyKeys]));
  }
  return findings;
}
