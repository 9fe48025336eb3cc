import type Database from 'better-sqlite3';
import { selectFrom } from '../src/maintenance/columns.ts';
import { readDateTime } from './date-time.ts';

/** A row of SigningCondition, as far as it tells what the row is. */
export interface ConditionRow {
  id: number;
  keyUserId: number | null;
  method: string | null;
  kind: string | null;
  content: string | null;
  allowed: number | null;
  /** As stored; null in files that have no such column. */
  expiresAt: unknown;
}

/**
 * What a SigningCondition is. `photocopy`: nsecbunkerd copied it from a rule of a policy when the client redeemed a
 * token. `connect`: it wrote this one beside the copies. `override`: an admin allowed it by hand. `denial`: an admin
 * denied it. `loose`: it belongs to no client, or says neither yes nor no.
 */
export type ConditionSort = 'photocopy' | 'connect' | 'override' | 'denial' | 'loose';

/** As stored; null in files that have no such column. */
interface Mortal {
  expiresAt: unknown;
  deletedAt: unknown;
}

/**
 * What redeeming tokens has granted to each client, by the tokens and policies that are in the file: living, expired
 * and revoked ones alike, since nsecbunkerd's copies outlived them all.
 */
export class Redeemed {
  /** Policies of the tokens that a KeyUser redeemed. */
  readonly #policies = new Map<number, Set<number>>();
  /** What the rules of a policy name. */
  readonly #rules = new Map<number, Set<string>>();

  /** @param livingAt ms since the epoch: only what still grants something then is looked at */
  constructor(db: Database.Database, livingAt: number | null = null) {
    const lives = ({ expiresAt, deletedAt }: Mortal) => {
      const end = readDateTime(expiresAt);
      return livingAt === null || (deletedAt === null && (end === null || end > livingAt));
    };
    const each = <T>(table: string, columns: string[], rest: string) =>
      db.prepare(selectFrom(db, table, columns, rest)).iterate() as IterableIterator<T & Mortal>;
    const tokens = each<{ keyUserId: number; policyId: number | null }>(
      'Token',
      ['keyUserId', 'policyId', 'expiresAt', 'deletedAt'],
      'WHERE keyUserId IS NOT NULL AND redeemedAt IS NOT NULL',
    );
    for (const token of tokens) {
      if (!lives(token)) continue;
      const policies = held(this.#policies, token.keyUserId);
      if (token.policyId !== null) policies.add(token.policyId);
    }
    const dead = new Set<number>();
    for (const policy of each<{ id: number }>('Policy', ['id', 'expiresAt', 'deletedAt'], '')) {
      if (!lives(policy)) dead.add(policy.id);
    }
    const rules = each<{ policyId: number; method: string; kind: string | null }>(
      'PolicyRule',
      ['policyId', 'method', 'kind', 'expiresAt', 'deletedAt'],
      'WHERE policyId IS NOT NULL',
    );
    for (const rule of rules) {
      if (lives(rule) && !dead.has(rule.policyId)) held(this.#rules, rule.policyId).add(named(rule.method, rule.kind));
    }
  }

  /** @param now ms since the epoch */
  sortOf(row: ConditionRow, now: number): ConditionSort {
    if (row.keyUserId === null || row.allowed === null) return 'loose';
    if (row.allowed !== 1) return 'denial';
    const policies = this.#policies.get(row.keyUserId);
    if (policies === undefined || row.method === null || !couldBeCopy(row, now)) return 'override';
    const copied = named(row.method, row.kind);
    for (const policy of policies) {
      if (this.#rules.get(policy)?.has(copied) === true) return 'photocopy';
    }
    return row.method === 'connect' && !row.kind ? 'connect' : 'override';
  }
}

/**
 * nsecbunkerd's copies have no content and never expire by themselves; a revocation may have ended them. Whatever
 * expires later was set by hand.
 */
function couldBeCopy({ content, expiresAt }: ConditionRow, now: number): boolean {
  if (content !== null) return false;
  const end = readDateTime(expiresAt);
  return end === null || end <= now;
}

/** A kind that is empty was copied as none. */
function named(method: string, kind: string | null): string {
  return `${method}\n${kind ?? ''}`;
}

function held<T>(map: Map<number, Set<T>>, id: number): Set<T> {
  const found = map.get(id);
  if (found !== undefined) return found;
  const made = new Set<T>();
  map.set(id, made);
  return made;
}
