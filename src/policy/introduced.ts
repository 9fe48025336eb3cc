/** A client that brought a nostrconnect:// URI. */
export type Introduced = {
  keyName: string;
  client: string;
  /** Where it listens. */
  relays: string[];
  /** What it calls itself; may be empty. */
  label: string;
  policyId: number;
  /** The admin, hex. */
  createdBy: string;
  /** ms since the epoch; who was revoked since then is not introduced. */
  askedAt: number;
};

/** What introducing a client has changed, for `forgetClient`. `tokenId`: null when it needed none. */
export type Introduction = {
  keyName: string;
  client: string;
  keyUserId: number;
  tokenId: number | null;
  wasBound: boolean;
  relaysBefore: string | null;
};
