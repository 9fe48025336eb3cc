/** A relay with nothing but a stage behind it, and faults on demand. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Stage } from '../admin/stage.ts';

export interface FakeRelay {
  url: string;
  /** Events that came in, as they came. */
  received: { content: string }[];
  /** What is wrong with it: it does not deliver, does not accept, or hangs up when asked. */
  fault: 'none' | 'swallow' | 'refuse' | 'hang up' | 'deny' | 'deny without a word';
  close(): Promise<void>;
}

export async function startRelay(stage: Stage): Promise<FakeRelay> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const subscribed = new Map<WebSocket, string>();
  const relay: FakeRelay = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: [],
    fault: 'none',
    async close() {
      for (const client of server.clients) client.terminate();
      server.close();
      await once(server, 'close');
    },
  };
  stage.main.onPublish = (event) => {
    for (const [socket, id] of subscribed) socket.send(`["EVENT",${JSON.stringify(id)},${event}]`);
  };
  server.on('connection', (socket) => {
    socket.on('close', () => subscribed.delete(socket));
    socket.on('message', (data) => {
      const [type, given] = JSON.parse(String(data));
      if (type === 'REQ') {
        if (relay.fault === 'deny') return socket.send(JSON.stringify(['CLOSED', given, 'restricted: not here']));
        if (relay.fault === 'deny without a word')
          return socket.send(JSON.stringify(['CLOSED', given, { toString: 1 }]));
        subscribed.set(socket, given);
        socket.send(JSON.stringify(['EOSE', given]));
      }
      if (type !== 'EVENT') return;
      relay.received.push(given);
      if (relay.fault === 'hang up') return socket.terminate();
      const refused = relay.fault === 'refuse';
      socket.send(JSON.stringify(['OK', given.id, !refused, refused ? 'blocked: no such kind' : '']));
      if (relay.fault === 'none') stage.deliver(JSON.stringify(given));
    });
  });
  return relay;
}
