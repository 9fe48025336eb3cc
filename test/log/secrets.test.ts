// deadline: 90 s
/** A whole run of the daemon at the most verbose level: nothing that was secret in it is in the log, in any form. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateSecretKey, getPublicKey, nip19, nip44 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openKeyFile } from '../probe/key-file.ts';
import { runCli } from '../support/cli.ts';
import { ProductionDaemon } from '../support/production.ts';
import { createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const daemon = new ProductionDaemon();
const apiKey = `api-key-${randomUUID()}`;
const secrets = new Map<string, string[]>();
/** Everything that any command printed where logs go. */
let printed = '';

test.after(() => daemon.remove());

function text(name: string, value: string): string {
  const json = JSON.stringify(value).slice(1, -1);
  secrets.set(name, [value, json, Buffer.from(value).toString('base64'), Buffer.from(value).toString('hex')]);
  return value;
}
function key(name: string, bytes: Uint8Array): Uint8Array {
  const buffer = Buffer.from(bytes);
  const forms = [buffer.toString('hex'), buffer.toString('base64'), buffer.toString('base64url')];
  secrets.set(name, [...forms, nip19.nsecEncode(bytes), [...bytes].join(',')]);
  return bytes;
}
function found(log: string): string[] {
  return [...secrets].filter(([, forms]) => forms.some((form) => log.includes(form))).map(([name]) => name);
}

test('keys, clients, denials, malformed requests, a wrong configuration, a crash of a thread, a stop', async () => {
  text('api key', apiKey);
  key("daemon's key", daemon.key);
  key("admin's key", daemon.admin);
  const debug = { log: { level: 'debug' }, approvalTimeout: 0 };
  daemon.write({ redoubt: { ...debug, http: { listen: '127.0.0.1:0', apiKey } } });
  await daemon.start();
  const admin = await daemon.openAdmin();
  const passphrase = text('passphrase', `pass ${randomUUID()}`);
  const imported = key('imported key', generateSecretKey());
  await admin.result('create_new_key', ['made', passphrase]);
  await admin.result('create_new_key', [
    'imported',
    text('import passphrase', randomUUID()),
    nip19.nsecEncode(imported),
  ]);
  await admin.call('create_new_key', ['made', text('refused passphrase', randomUUID()), nip19.nsecEncode(imported)]);
  await admin.call('unlock_key', ['made', text('wrong passphrase', randomUUID())]);
  await admin.result('lock_key', ['made']);
  await admin.call('unlock_key', ['made', text('another wrong passphrase', randomUUID())]);
  await admin.result('unlock_key', ['made', passphrase]);
  await admin.call(text('a method that does not exist', randomUUID()), [text('a parameter', randomUUID())]);

  const policy = await createPolicy(admin, 'all', [
    { method: 'sign_event', kind: 1 },
    ...['nip44_encrypt', 'nip44_decrypt', 'nip04_encrypt', 'nip04_decrypt'].map((method) => ({ method })),
  ]);
  const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, 'made', policy)).bunker_url);
  text('token secret', secret);
  const clientKey = key('client key', generateSecretKey());
  const client = await new RpcClient(clientKey, pubkey).open(daemon.connection().relay);
  key('conversation key', nip44.getConversationKey(clientKey, pubkey));
  await client.result('connect', [pubkey, secret]);
  await client.call('connect', [pubkey, text('wrong token', randomUUID())]);
  const other = getPublicKey(generateSecretKey());
  const plaintext = text('plaintext', `between us ${randomUUID()}`);
  for (const scheme of ['nip44', 'nip04']) {
    const ciphertext = await client.result(`${scheme}_encrypt`, [other, plaintext]);
    assert.is(await client.result(`${scheme}_decrypt`, [other, ciphertext]), plaintext);
    await client.call(`${scheme}_decrypt`, [other, text(`${scheme} garbage`, randomUUID())]);
  }
  const note = (kind: number, content: string) =>
    JSON.stringify({ kind, content, tags: [], created_at: 1_700_000_000 });
  await client.result('sign_event', [note(1, text('content', randomUUID()))]);
  await client.call('sign_event', [note(4, text('denied content', randomUUID()))]);
  await client.call('sign_event', [`{"kind":1,"content":"${text('broken template', randomUUID())}`]);
  await client.call(text('unknown method', randomUUID()), []);
  client.sendEvent(client.request('ping', [], { body: text('no request', `not JSON ${randomUUID()}`) }).event);
  client.sendEvent({ ...client.request('ping', []).event, content: text('forged content', randomUUID()) });
  const stranger = await new RpcClient(generateSecretKey(), pubkey).open(daemon.connection().relay);
  stranger.sendEvent(stranger.request('sign_event', [note(1, text("stranger's content", randomUUID()))]).event);
  await fetch(`${daemon.http}/metrics`, { headers: { 'x-api-key': text('wrong api key', randomUUID()) } });
  await fetch(`${daemon.http}/${text('path', randomUUID())}`);

  for (const name of ['made', 'imported']) {
    const forms = secrets.get(name === 'made' ? 'passphrase' : 'import passphrase')!;
    const opened = openKeyFile(join(daemon.data, 'keystore'), name, forms[0]!);
    key(`private key of ${name}`, opened.privateKey);
    key(`unsealing key of ${name}`, opened.unsealingKey);
  }
  daemon.write({
    nostr: { relays: [`wss://${text('user name', randomUUID())}@relay.example`] },
    redoubt: { ...debug, http: { apiKey: text('short api key', randomUUID().slice(0, 9)) } },
  });
  assert.match((await daemon.reload()).msg, 'nothing was changed');
  for (const command of ['check', 'show']) {
    const { stdout, stderr } = await runCli(['config', command, '--config', daemon.config]);
    printed += stdout + stderr;
  }
  admin.close();
  client.close();
  stranger.close();
  assert.is(await daemon.stop(), 0);
  const lines = daemon.lines().filter(({ msg }) => msg === 'request');
  await until('the log is whole', () => lines.length > 10);
  assert.ok(lines.some(({ outcome }) => outcome === 'denied'));
});

test('none of them is in the log', () => {
  assert.ok(secrets.size > 25, String(secrets.size));
  assert.equal(found(daemon.output + printed), []);
});

test('one that were there would be found', () => {
  for (const [name, [plain]] of secrets) assert.ok(found(`${daemon.output}${plain}`).includes(name), name);
  assert.ok(readFileSync(daemon.config, 'utf8').includes(Buffer.from(daemon.key).toString('hex')));
});

test.run();
