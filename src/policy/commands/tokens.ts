import type { EntityManager } from '@mikro-orm/core';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Clock } from '../../actor/clock.ts';
import { Key, Policy, type PolicyEntity, Token, type TokenEntity } from '../../store/entities.ts';
import type { Store } from '../../store/open.ts';
import type { Outcome, Slice, TokenRow } from '../protocol.ts';
import { isSet } from './is-set.ts';

/** Bytes of a secret, from the system's generator. */
const SECRET_BYTES = 32;
const CENTURY_MS = 100 * 366 * 86_400_000;

/** Where a token's client is, for whoever changed what it may do. */
export interface Touched {
  keyName: string;
  client: string;
}

/** A key's tokens in the order of their ids, revoked ones too. */
export async function listTokens(store: Store, keyName: string): Promise<TokenRow[]> {
  const em = store.orm.em.fork();
  const key = await em.findOne(Key, { keyName });
  const found = await em.find(Token, { keyName }, { populate: ['policy', 'keyUser'], orderBy: { id: 'asc' } });
  return found.map((token) => tokenRow(token, key?.pubkey ?? null));
}

/** Those that an admin can do something about: what was revoked before anybody redeemed it is left out. */
export async function pageTokens(
  store: Store,
  { keyName, after, offset, limit }: { keyName: string } & Slice,
): Promise<TokenRow[]> {
  const em = store.orm.em.fork();
  const key = await em.findOne(Key, { keyName });
  const found = await em.find(
    Token,
    { keyName, id: { $gt: after }, $or: [{ deletedAt: null }, { redeemedAt: { $ne: null } }] },
    { populate: ['policy', 'keyUser'], orderBy: { id: 'asc' }, offset, limit },
  );
  return found.map((token) => tokenRow(token, key?.pubkey ?? null));
}

export async function createToken(
  store: Store,
  clock: Clock,
  random: (bytes: number) => Uint8Array,
  wanted: { keyName: string; clientName: string; policyId: number; expiresAt: number | null; createdBy: string },
): Promise<Outcome<TokenRow>> {
  const { keyName, clientName, policyId, expiresAt, createdBy } = wanted;
  const now = clock.now();
  const unfit = expiryRefusal(expiresAt, now);
  if (unfit !== null) return { ok: false, refusal: unfit };
  return store.orm.em.fork().transactional(async (em): Promise<Outcome<TokenRow>> => {
    const key = await em.findOne(Key, { keyName });
    if (key === null) return { ok: false, refusal: `there is no key ${keyName}` };
    if (isSet(key.deletedAt)) return { ok: false, refusal: `key ${keyName} was deleted` };
    const policy = await em.findOne(Policy, { id: policyId });
    if (policy === null || isSet(policy.deletedAt)) return { ok: false, refusal: `there is no policy ${policyId}` };
    if (isSet(policy.expiresAt) && policy.expiresAt <= now) {
      return { ok: false, refusal: `policy ${policyId} (${policy.name}) has expired` };
    }
    const token = insertToken(em, random, { keyName, clientName, createdBy, expiresAt, policy, now });
    await em.flush();
    return { ok: true, value: tokenRow(token, key.pubkey) };
  });
}

/** Why a token may not expire then. */
export function expiryRefusal(expiresAt: number | null, now: number): string | null {
  if (expiresAt === null) return null;
  if (!(expiresAt > now)) return 'the token would be expired already';
  if (expiresAt <= now + CENTURY_MS) return null;
  return 'the token would last for more than 100 years: give an earlier date, or none';
}

/** In a transaction of the caller's. */
export function insertToken(
  em: EntityManager,
  random: (bytes: number) => Uint8Array,
  wanted: {
    keyName: string;
    clientName: string;
    createdBy: string;
    expiresAt: number | null;
    policy: PolicyEntity;
    now: number;
  },
): TokenEntity {
  const { now, ...columns } = wanted;
  const token = bytesToHex(random(SECRET_BYTES));
  return em.create(Token, { ...columns, token, createdAt: now, updatedAt: now });
}

/** Unredeemed, it can no longer be redeemed; redeemed, it grants nothing. Revoking it again changes nothing. */
export async function revokeToken(
  store: Store,
  clock: Clock,
  id: number,
): Promise<{ outcome: Outcome<null>; touched: Touched | null }> {
  return store.orm.em.fork().transactional(async (em) => {
    const token = await em.findOne(Token, { id }, { populate: ['keyUser'] });
    if (token === null) return { outcome: { ok: false, refusal: `there is no token ${id}` }, touched: null };
    const now = clock.now();
    if (!isSet(token.deletedAt)) {
      token.deletedAt = now;
      token.updatedAt = now;
    }
    const user = token.keyUser;
    const touched = user ? { keyName: user.keyName, client: user.userPubkey } : null;
    return { outcome: { ok: true, value: null }, touched };
  });
}

export function tokenRow(token: TokenEntity, keyPubkey: string | null): TokenRow {
  return {
    id: token.id,
    keyName: token.keyName,
    keyPubkey,
    clientName: token.clientName,
    secret: token.token,
    policyId: token.policy?.id ?? null,
    policyName: token.policy?.name ?? null,
    createdAt: token.createdAt,
    updatedAt: token.updatedAt,
    expiresAt: token.expiresAt ?? null,
    redeemedAt: token.redeemedAt ?? null,
    redeemedBy: token.keyUser?.userPubkey ?? null,
    revokedAt: token.deletedAt ?? null,
    keyUserId: token.keyUser?.id ?? null,
  };
}
