import type Database from 'better-sqlite3';

/** Revokes as the daemon does: what a client was granted before stays dead when it is paired again. */
export function revoker(restored: Database.Database, now: number): (id: unknown, at: unknown) => boolean {
  const revoke = restored.prepare(
    'UPDATE "KeyUser" SET revokedAt = @at, updatedAt = @now WHERE id = @id AND revokedAt IS NULL',
  );
  const endTokens = restored.prepare('UPDATE "Token" SET deletedAt = ? WHERE keyUserId = ? AND deletedAt IS NULL');
  const removeAllowed = restored.prepare('DELETE FROM "SigningCondition" WHERE keyUserId = ? AND allowed = 1');
  return (id, at) => {
    if (id === undefined || revoke.run({ id, at, now }).changes === 0) return false;
    endTokens.run(now, id);
    removeAllowed.run(id);
    return true;
  };
}
