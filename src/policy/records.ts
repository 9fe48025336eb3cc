/** The rules as they are held in memory. Dates are ms since the epoch; null is never. */

export interface KeyRecord {
  /** Null for a key that has no row. */
  readonly pubkey: string | null;
  readonly deletedAt: number | null;
}

/** A client that was bound to a key at some time. */
export interface Binding {
  readonly keyUserId: number;
  readonly revokedAt: number | null;
  readonly conditions: readonly Condition[];
  /** Redeemed by this client; the one redeemed first comes first. */
  readonly tokens: readonly TokenRecord[];
}

/** An admin's manual override. */
export interface Condition {
  readonly id: number;
  readonly method: string | null;
  readonly kind: string | null;
  readonly allowed: boolean;
  readonly expiresAt: number | null;
}

export interface TokenRecord {
  readonly id: number;
  readonly policyId: number | null;
  readonly deletedAt: number | null;
  readonly expiresAt: number | null;
  /** Uses of each rule with a limit for each token, by rule id. */
  readonly used: Map<number, number>;
}

export interface PolicyRecord {
  readonly id: number;
  readonly deletedAt: number | null;
  readonly expiresAt: number | null;
  readonly rules: readonly RuleRecord[];
}

export interface RuleRecord {
  readonly id: number;
  readonly method: string;
  readonly kind: string | null;
  readonly expiresAt: number | null;
  /** Over all tokens of the policy. */
  readonly maxUsageCount: number | null;
  readonly maxUsagePerToken: number | null;
  /** Uses over all tokens, those of the open transaction included. */
  used: number;
}
