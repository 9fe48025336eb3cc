import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Head, headText } from '../admin/heads.ts';
import { forcedCurve } from '../curve/forced.ts';
import { loadCurve } from '../curve/load.ts';
import { hexToBytes } from '../nip46/hex.ts';
import { type ChainReport, verifyChain } from '../policy/verify.ts';
import { whichInstallation } from './admin-access.ts';
import { auditDatabase } from './audit-database.ts';
import { show } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';

interface AuditOptions {
  data?: string;
  config?: string;
  head?: string;
  json?: boolean;
}

/** `redoubt audit verify` @throws Refusal */
export async function verifyAudit(options: AuditOptions): Promise<void> {
  const installation = whichInstallation(options, process.env, process.cwd());
  const { database, daemonPubkey } = await auditDatabase(installation);
  const head = options.head === undefined ? null : await lastHead(options.head, daemonPubkey);
  const report = check(database, head);
  const { ok, rows, head: last, unchained, bare, cut, wrong } = report;
  show(
    { data: { ok, rows, head: last, unchained, bare, cut, wrong }, text: reportText(report, head !== null) },
    options.json,
  );
  if (!ok) process.exitCode = EXIT.failed;
}

/** The newest head in a file of signed ones. @throws Refusal when it is not this daemon's */
export async function lastHead(path: string, daemonPubkey: string): Promise<Head> {
  let lines: string[];
  try {
    lines = readFileSync(path, 'utf8').trim().split('\n');
  } catch (error) {
    throw new Refusal(`the heads file ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const head = parseHead(lines.at(-1) ?? '');
  if (head === null) throw new Refusal(`the last line of ${path} is no signed head: give a copy of audit-heads.jsonl`);
  const curve = await loadCurve(forcedCurve(process.env));
  const digest = createHash('sha256').update(headText(head)).digest();
  if (head.pubkey !== daemonPubkey || !curve.verify(hexToBytes(head.sig), digest, hexToBytes(head.pubkey))) {
    throw new Refusal(`the last head in ${path} was not signed by this daemon: it proves nothing about this log`);
  }
  return head;
}

function parseHead(line: string): (Head & { pubkey: string; sig: string }) | null {
  try {
    const head = JSON.parse(line);
    const numbers = [head.seq, head.cut, head.at].every((value) => Number.isSafeInteger(value));
    const texts = [
      /^[0-9a-f]{64}$/.test(head.hash),
      /^[0-9a-f]{64}$/.test(head.pubkey),
      /^[0-9a-f]{128}$/.test(head.sig),
    ];
    return numbers && texts.every(Boolean) ? head : null;
  } catch {
    return null;
  }
}

function check(database: string, head: Head | null): ChainReport {
  try {
    return verifyChain(database, head);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (typeof code !== 'string') throw error;
    throw new Refusal(`the database ${database} cannot be read (${code})`);
  }
}

function reportText({ ok, rows, head, unchained, bare, wrong }: ChainReport, againstHead: boolean): string {
  const since = `${bare} rows after the chain's beginning have no hash (written by another program, or stripped of their hash)`;
  const older = `${unchained - bare} rows have no hash (they are older than the chain)`;
  const unproven = `${bare === 0 ? '' : `; ${since}`}${unchained === bare ? '' : `; ${older}`}`;
  if (!ok) return `audit log BROKEN at row ${wrong?.seq ?? '?'}: ${wrong?.line ?? 'unknown how'}${unproven}`;
  const none = unchained === 0 ? 'it is empty' : 'no row has a hash';
  const last = head === null ? none : `its head is row ${head.seq}, ${head.hash}`;
  const kept = againstHead ? '; it agrees with the kept head' : '';
  const intact = bare === 0 ? 'audit log intact' : 'audit log intact as far as it has hashes';
  return `${intact}: ${rows} rows, ${last}${kept}${unproven}`;
}
