import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { until } from './events.ts';
import type { Frame } from './fake-relay.ts';

/** A client of a relay that says exactly what a test wants said. */
export class RawClient {
  readonly frames: Frame[] = [];
  readonly ws: WebSocket;
  closed: { code: number } | null = null;

  private constructor(url: string, options: { autoPong?: boolean }) {
    this.ws = new WebSocket(url, { autoPong: options.autoPong ?? true });
    this.ws.on('message', (data) => this.frames.push(JSON.parse(String(data)) as Frame));
    this.ws.on('close', (code) => {
      this.closed = { code };
    });
    this.ws.on('error', () => {});
  }

  /** @throws Error when the relay does not let it in */
  static async connect(url: string, options: { autoPong?: boolean } = {}): Promise<RawClient> {
    const client = new RawClient(url, options);
    await new Promise<void>((resolve, reject) => {
      client.ws.once('open', resolve);
      client.ws.once('error', reject);
    });
    return client;
  }

  send(frame: Frame | string): void {
    this.ws.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  publish(raw: string): void {
    this.send(`["EVENT",${raw}]`);
  }

  /** The first frame of this kind that there is or will be. */
  async next(type: string, about?: string): Promise<Frame> {
    const find = () => this.frames.find((frame) => frame[0] === type && (about === undefined || frame[1] === about));
    await until(() => find() !== undefined);
    return find()!;
  }

  async subscribe(id: string, ...filters: object[]): Promise<void> {
    this.send(['REQ', id, ...filters]);
    await this.next('EOSE', id);
  }

  /** Ids of the events that came on a subscription. */
  events(subscription: string): string[] {
    const events = this.frames.filter((frame) => frame[0] === 'EVENT' && frame[1] === subscription);
    return events.map((frame) => (frame[2] as { id: string }).id);
  }

  /** All that the relay had to say before it had answered this much. */
  async settled(): Promise<void> {
    const id = `settled-${Math.random()}`;
    this.send(['REQ', id, { ids: [] }]);
    await this.next('EOSE', id);
    this.send(['CLOSE', id]);
  }

  /** Stops reading from the network altogether. */
  stall(): void {
    (this.ws as unknown as { _socket: Socket })._socket.pause();
  }

  close(): void {
    this.ws.terminate();
  }
}
