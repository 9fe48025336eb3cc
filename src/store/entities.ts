/**
 * nsecbunkerd's tables with our additions (docs/STORAGE.md). The migrations make them; these say what the columns
 * mean. Dates are ms since the epoch.
 */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import { DateTime } from './date-time.ts';

const id = () => p.integer().primary().autoincrement();
const date = () => p.type(DateTime);
const text = () => p.text();

export const Key = defineEntity({
  name: 'Key',
  properties: {
    id: id(),
    keyName: text().unique('Key_keyName_key'),
    createdAt: date(),
    updatedAt: date(),
    deletedAt: date().nullable(),
    pubkey: text(),
    lockedAt: date().nullable(),
  },
});

export const KeyUser = defineEntity({
  name: 'KeyUser',
  properties: {
    id: id(),
    keyName: text(),
    userPubkey: text(),
    createdAt: date(),
    updatedAt: date(),
    lastUsedAt: date().nullable(),
    description: text().nullable(),
    revokedAt: date().nullable(),
    /** JSON; for clients that came by nostrconnect:// */
    relays: text().nullable(),
  },
  uniques: [{ name: 'KeyUser_keyName_userPubkey_key', properties: ['keyName', 'userPubkey'] }],
});

export const Policy = defineEntity({
  name: 'Policy',
  properties: {
    id: id(),
    name: text(),
    createdAt: date(),
    updatedAt: date(),
    expiresAt: date().nullable(),
    deletedAt: date().nullable(),
    description: text().nullable(),
    rules: () => p.oneToMany(PolicyRule).mappedBy('policy').orderBy({ id: 'asc' }),
  },
});

export const PolicyRule = defineEntity({
  name: 'PolicyRule',
  properties: {
    id: id(),
    method: text(),
    /** A kind as text, `all`, or null for a rule without a kind. */
    kind: text().nullable(),
    maxUsageCount: p.integer().nullable(),
    currentUsageCount: p.integer().nullable(),
    policy: () => p.manyToOne(Policy).nullable().fieldName('policyId').deleteRule('set null').updateRule('cascade'),
    expiresAt: date().nullable(),
    maxUsagePerToken: p.integer().nullable(),
  },
});

export const Token = defineEntity({
  name: 'Token',
  properties: {
    id: id(),
    keyName: text(),
    token: text().unique('Token_token_key'),
    clientName: text(),
    createdBy: text(),
    createdAt: date(),
    updatedAt: date(),
    deletedAt: date().nullable(),
    expiresAt: date().nullable(),
    redeemedAt: date().nullable(),
    keyUser: () => p.manyToOne(KeyUser).nullable().fieldName('keyUserId').deleteRule('set null').updateRule('cascade'),
    policy: () => p.manyToOne(Policy).nullable().fieldName('policyId').deleteRule('set null').updateRule('cascade'),
  },
});

export const TokenRuleUsage = defineEntity({
  name: 'TokenRuleUsage',
  properties: {
    tokenId: p.integer().primary(),
    ruleId: p.integer().primary(),
    count: p.integer(),
  },
});

export const SigningCondition = defineEntity({
  name: 'SigningCondition',
  properties: {
    id: id(),
    method: text().nullable(),
    kind: text().nullable(),
    content: text().nullable(),
    keyUserKeyName: text().nullable(),
    allowed: p.boolean().nullable(),
    keyUser: () => p.manyToOne(KeyUser).nullable().fieldName('keyUserId').deleteRule('set null').updateRule('cascade'),
    expiresAt: date().nullable(),
  },
});

export const Log = defineEntity({
  name: 'Log',
  properties: {
    id: id(),
    timestamp: date(),
    type: text(),
    method: text().nullable(),
    /** JSON without content or secrets. */
    params: text().nullable(),
    keyUser: () => p.manyToOne(KeyUser).nullable().fieldName('keyUserId').deleteRule('set null').updateRule('cascade'),
    hash: text().nullable(),
  },
});

export const Request = defineEntity({
  name: 'Request',
  properties: {
    id: text().primary(),
    keyName: text().nullable(),
    createdAt: date(),
    requestId: text(),
    remotePubkey: text(),
    method: text(),
    params: text().nullable(),
    allowed: p.boolean().nullable(),
  },
});

export const User = defineEntity({
  name: 'User',
  properties: {
    id: id(),
    username: text().unique('User_username_key'),
    domain: text(),
    /** bcrypt */
    password: text(),
    email: text(),
    createdAt: date(),
    updatedAt: date(),
    deletedAt: date().nullable(),
    pubkey: text(),
  },
});

export type KeyEntity = InferEntity<typeof Key>;
export type TokenEntity = InferEntity<typeof Token>;
export type PolicyEntity = InferEntity<typeof Policy>;
export type PolicyRuleEntity = InferEntity<typeof PolicyRule>;
export type SigningConditionEntity = InferEntity<typeof SigningCondition>;

export const ENTITIES = [Key, KeyUser, Policy, PolicyRule, Token, TokenRuleUsage, SigningCondition, Log, Request, User];
