/** Why no key here has a public key of an admin, or the daemon's: what a client has it sign could administrate. */
export const RESERVED = "this key is an admin's or the daemon's own: no client may have it sign";
