/** What operators write, checked and brought into one form. Messages say what is expected and never quote the value. */
import { isIP } from 'node:net';
import * as nip19 from 'nostr-tools/nip19';
import * as z from 'zod';

export interface ListenAddress {
  host: string;
  /** 0: any free port. */
  port: number;
}

export const listenAddress = z.string().transform((text, context): ListenAddress => {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  if (host === '' || port > 65_535 || (bracketed !== undefined && isIP(bracketed) !== 6)) {
    context.addIssue('expected HOST:PORT, for example 127.0.0.1:4736 or [::1]:4736');
    return z.NEVER;
  }
  return { host, port };
});

/** As it stands in a request's Host, without the port that follows it there. */
export const hostName = z
  .string()
  .refine(
    (text) => isIP(text) !== 0 || /^[^\s:/[\]]+$/.test(text),
    'expected a host name or an address, without a port and without brackets',
  );

export const relayUrl = z.string().transform((text, context): string => {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['ws:', 'wss:'].includes(url.protocol) || url.username + url.password + url.hash !== '') {
    context.addIssue('expected a relay URL, wss://host or ws://host:port, without a user name or a fragment');
    return z.NEVER;
  }
  // One spelling for each relay: clients compare the lists that they are given.
  return url.pathname === '/' && url.search === '' ? url.href.slice(0, -1) : url.href;
});

/** hex */
export const publicKey = z.string().transform((text, context): string => {
  const trimmed = text.trim();
  if (/^[0-9a-f]{64}$/i.test(trimmed)) return trimmed.toLowerCase();
  if (trimmed.startsWith('nsec1')) {
    context.addIssue('this is a private key: give the public one, npub1...');
    return z.NEVER;
  }
  try {
    const decoded = nip19.decode(trimmed);
    if (decoded.type === 'npub') return decoded.data;
  } catch {
    // Its message would quote the value.
  }
  context.addIssue('expected a public key, npub1... or 64 hex digits');
  return z.NEVER;
});

export const logLevel = z.enum(['debug', 'info', 'warn', 'error']);

/** Parts of the daemon that the log names. */
export const LOG_MODULES = ['main', 'relays', 'key', 'policy', 'admin', 'vault'] as const;

const moduleName = z.enum(LOG_MODULES);

export const moduleLevel = z.string().transform((text, context) => {
  const [name, wanted] = text.split('=');
  const module = moduleName.safeParse(name);
  const level = logLevel.safeParse(wanted);
  if (module.success && level.success && text.split('=').length === 2)
    return { module: module.data, level: level.data };
  context.addIssue(`expected MODULE=LEVEL with one of ${LOG_MODULES.join(', ')} and debug, info, warn or error`);
  return z.NEVER;
});
