/** A plain loop of nostr-tools calls in one process: verify, decrypt, sign, encrypt, sign. No rules, no records. */
import { finalizeEvent, getPublicKey, type NostrEvent, nip44, verifyEvent } from 'nostr-tools';
import { WebSocket } from 'ws';

const KIND = 24133;

process.once('message', ({ relay, secretKeys }: { relay: string; secretKeys: string[] }) => {
  const keys = new Map(
    secretKeys.map((hex) => {
      const secretKey = Uint8Array.from(Buffer.from(hex, 'hex'));
      return [getPublicKey(secretKey), secretKey];
    }),
  );
  const conversations = new Map<string, Uint8Array>();
  const socket = new WebSocket(relay, { perMessageDeflate: false });
  socket.on('open', () =>
    socket.send(JSON.stringify(['REQ', 's', { kinds: [KIND], '#p': [...keys.keys()], limit: 0 }])),
  );
  socket.on('message', (data: Buffer) => {
    const [type, , event] = JSON.parse(data.toString()) as [string, string, NostrEvent];
    if (type === 'EOSE') process.send!('started');
    if (type !== 'EVENT' || !verifyEvent(event)) return;
    const own = event.tags.find((tag) => tag[0] === 'p')![1]!;
    const secretKey = keys.get(own)!;
    const between = `${own} ${event.pubkey}`;
    let conversation = conversations.get(between);
    if (conversation === undefined) {
      conversation = nip44.getConversationKey(secretKey, event.pubkey);
      conversations.set(between, conversation);
    }
    const { id, method, params } = JSON.parse(nip44.decrypt(event.content, conversation));
    const result = method === 'sign_event' ? JSON.stringify(finalizeEvent(JSON.parse(params[0]), secretKey)) : 'pong';
    const content = nip44.encrypt(JSON.stringify({ id, result }), conversation);
    const created_at = Math.floor(Date.now() / 1000);
    const answer = finalizeEvent({ kind: KIND, created_at, tags: [['p', event.pubkey]], content }, secretKey);
    socket.send(JSON.stringify(['EVENT', answer]));
  });
});
process.on('disconnect', () => process.exit());
