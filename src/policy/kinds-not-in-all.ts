/**
 * Kinds that `all` does not grant unless an option says otherwise: 22242 and 27235 log in somewhere, 62 asks relays to
 * forget everything. In an installation that nsecbunkerd began, `all` goes on meaning all (docs/POLICY.md).
 */
export const KINDS_NOT_IN_ALL = { new: [22_242, 27_235, 62], adopted: [] } as const;
