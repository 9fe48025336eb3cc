/** A relay as they are: it keeps nothing, verifies nothing, and gives each event to whoever asks for it. */
import type { WebSocket } from 'ws';
import { SocketServer } from './socket-server.ts';

export type Filter = { kinds?: number[]; authors?: string[]; '#p'?: string[] };
export type Event = { id: string; kind: number; pubkey: string; tags: string[][] };

export class BroadcastRelay extends SocketServer {
  /** On the port of the first time. */
  async start(): Promise<this> {
    const subscriptions = new Map<WebSocket, Map<string, Filter[]>>();
    await this.listen((socket) => {
      const own = new Map<string, Filter[]>();
      subscriptions.set(socket, own);
      socket.on('close', () => subscriptions.delete(socket));
      socket.on('message', (data) => {
        const [type, given, ...rest] = JSON.parse(String(data));
        if (type === 'REQ') {
          own.set(given, rest);
          socket.send(JSON.stringify(['EOSE', given]));
        } else if (type === 'CLOSE') own.delete(given);
        else if (type === 'EVENT') {
          socket.send(JSON.stringify(['OK', given.id, true, '']));
          for (const [to, filters] of subscriptions) {
            for (const [id, list] of filters) {
              if (list.some((filter) => wants(filter, given))) to.send(JSON.stringify(['EVENT', id, given]));
            }
          }
        }
      });
    });
    return this;
  }
}

export function wants({ kinds, authors, '#p': p }: Filter, event: Event): boolean {
  return (
    (kinds?.includes(event.kind) ?? true) &&
    (authors?.includes(event.pubkey) ?? true) &&
    (p === undefined || event.tags.some(([name, value]) => name === 'p' && p.includes(value!)))
  );
}
