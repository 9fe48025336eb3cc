/** What nsecbunkerd leaves in a database when clients redeem tokens, put there by SQL. */

import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { TestDaemon } from './daemon.ts';

/**
 * Gives a running daemon's database `count` photocopies: of `rules` rules for each of as many clients as that takes,
 * paired by tokens that have expired. The key is `demo`.
 *
 * @param client of the first of them: what it may do, it may by its copies alone
 */
export function addPhotocopies(daemon: TestDaemon, count: number, client: string, rules = 10): void {
  const db = new Database(join(daemon.data, 'nsecbunker.db'), { timeout: 10_000 });
  const now = Date.now();
  db.transaction(() => {
    const insert = (sql: string, ...values: unknown[]) => Number(db.prepare(sql).run(...values).lastInsertRowid);
    const policy = insert('INSERT INTO Policy (name, createdAt, updatedAt) VALUES (?, ?, ?)', 'copied', now, now);
    for (let kind = 1; kind < rules; kind++) {
      insert(`INSERT INTO PolicyRule (method, kind, policyId) VALUES ('sign_event', ?, ?)`, String(kind), policy);
    }
    const user = db.prepare('INSERT INTO KeyUser (keyName, userPubkey, createdAt, updatedAt) VALUES (?, ?, ?, ?)');
    const token = db.prepare(
      `INSERT INTO Token (keyName, token, clientName, createdBy, createdAt, updatedAt, redeemedAt, expiresAt, keyUserId, policyId)
        VALUES ('demo', ?, 'copied', 'test', ?, ?, ?, ?, ?, ?)`,
    );
    const condition = db.prepare('INSERT INTO SigningCondition (method, kind, allowed, keyUserId) VALUES (?, ?, 1, ?)');
    for (let made = 0; made < count; made += rules) {
      const pubkey = made === 0 ? client : made.toString(16).padStart(64, '0');
      const id = user.run('demo', pubkey, now, now).lastInsertRowid;
      token.run(`copied ${made}`, now, now, now, now - 1, id, policy);
      condition.run('connect', null, id);
      for (let kind = 1; kind < rules; kind++) condition.run('sign_event', String(kind), id);
    }
  })();
  db.close();
}
