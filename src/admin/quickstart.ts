import { asSecret, wipe } from '../actor/protocol.ts';
import { readPassphraseFile } from '../keystore/passphrase-file.ts';
import { handOn } from '../keystore/passphrase-port.ts';
import type { NewRule, Outcome, TokenRow } from '../policy/protocol.ts';
import { bunkerUrl } from './bunker-url.ts';
import type { Desk } from './desk.ts';
import { npubEncode } from './npub.ts';
import type { QuickstartMade } from './protocol.ts';
import { quickstartFiles } from './quickstart-files.ts';

const KEY = 'demo';
const POLICY = 'demo';
const CLIENT = 'demo client';
const TOKEN_MS = 3_600_000;
const KEY_MS = 120_000;
const GRANTED = ['sign_event', 'nip44_encrypt', 'nip44_decrypt', 'nip04_encrypt', 'nip04_decrypt'];

type Demonstration = Omit<Extract<QuickstartMade, { ok: true }>, 'connectionString'> | { ok: false; refusal: string };

/** Makes sure of the demonstration: the key, unlocked; its policy; and one URL to connect with, good for an hour. */
export async function makeDemonstration(desk: Desk, data: string, adminPubkey: string): Promise<Demonstration> {
  const files = quickstartFiles(data);
  const key = await demoKey(desk, files.passphrase);
  if (!key.ok) return key;
  const policy = await demoPolicy(desk);
  if (!policy.ok) return policy;
  const token = await demoToken(desk, policy.value, adminPubkey);
  if (!token.ok) return token;
  return {
    ok: true,
    keyName: KEY,
    bunkerUrl: bunkerUrl(key.value, desk.settings.relays, token.value.secret),
    redeemed: token.value.redeemedAt !== null,
    adminNpub: npubEncode(adminPubkey),
    adminNsecFile: files.adminNsec,
    passphraseFile: files.passphrase,
  };
}

/** @returns its pubkey */
async function demoKey(desk: Desk, passphraseFile: string): Promise<Outcome<string>> {
  const row = await desk.policy.ask('findKey', { name: KEY });
  if (row === null) return createDemoKey(desk, passphraseFile);
  if (row.deletedAt !== null) {
    return {
      ok: false,
      refusal: `the key "${KEY}" was deleted: start without --quickstart, or use another data folder`,
    };
  }
  const unlocked = await desk.main.ask('unlocked', null);
  // A key that was locked on purpose stays locked.
  if (row.lockedAt !== null || unlocked.some((key) => key.pubkey === row.pubkey))
    return { ok: true, value: row.pubkey };
  const result = await desk.main.ask(
    'unlockKeys',
    { names: [KEY], source: { file: passphraseFile } },
    { timeoutMs: KEY_MS },
  );
  const refusal = result.refusal ?? result.failed[0]?.error;
  if (refusal === undefined) return { ok: true, value: row.pubkey };
  return { ok: false, refusal: `the key "${KEY}" cannot be unlocked with ${passphraseFile}: ${refusal}` };
}

async function createDemoKey(desk: Desk, passphraseFile: string): Promise<Outcome<string>> {
  const read = readPassphraseFile(passphraseFile);
  if (!read.ok) return read;
  const port = handOn({ passphrase: asSecret(read.passphrase) });
  wipe(read.passphrase);
  const made = await desk.main.ask('createKey', { name: KEY, port }, { timeoutMs: KEY_MS, transfer: [port] });
  if (made.ok) return { ok: true, value: made.pubkey };
  return { ok: false, refusal: `the key "${KEY}" cannot be made: ${made.refusal}` };
}

async function demoPolicy(desk: Desk): Promise<Outcome<number>> {
  const [policy] = await desk.policy.ask('findPolicies', { name: POLICY });
  if (policy !== undefined) return { ok: true, value: policy };
  const rules = GRANTED.map((method): NewRule => {
    const kind = method === 'sign_event' ? 'all' : null;
    return { method, kind, maxUsageCount: null, maxUsagePerToken: null, expiresAt: null };
  });
  const description = 'Made by the quickstart: every kind, every cipher';
  const made = await desk.policy.ask('createPolicy', { name: POLICY, description, expiresAt: null, rules });
  return made.ok ? { ok: true, value: made.value.id } : made;
}

/** The token that was redeemed, or a fresh one: of the unredeemed ones just the newest is good. */
async function demoToken(desk: Desk, policyId: number, adminPubkey: string): Promise<Outcome<TokenRow>> {
  const tokens = await desk.policy.ask('listTokens', { keyName: KEY });
  const redeemed = tokens.filter((token) => token.redeemedAt !== null).sort((a, b) => b.redeemedAt! - a.redeemedAt!);
  const bound = redeemed.find((token) => token.revokedAt === null) ?? redeemed[0];
  if (bound !== undefined) return { ok: true, value: bound };
  for (const token of tokens) {
    if (token.revokedAt !== null || token.clientName !== CLIENT) continue;
    const revoked = await desk.policy.ask('revokeToken', { id: token.id });
    if (!revoked.ok) return revoked;
  }
  return desk.policy.ask('createToken', {
    keyName: KEY,
    clientName: CLIENT,
    policyId,
    expiresAt: desk.clock.now() + TOKEN_MS,
    createdBy: adminPubkey,
  });
}
