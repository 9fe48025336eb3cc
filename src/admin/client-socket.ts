import { WebSocket } from 'ws';
import { plainLine } from '../relay/plain-line.ts';

/** How long a relay may take to be ready, ms. */
const CONNECT_MS = 5_000;
const MAX_MESSAGE = 64 * 1024 * 1024;
const SUBSCRIPTION = 'admin';

export interface SocketOptions {
  url: string;
  filter: object;
  onEvent(event: unknown): void;
  /** The relay's answer to an EVENT (NIP-01 OK). */
  onOk(id: string, accepted: boolean, reason: string): void;
  onClose(): void;
}

/** One relay, subscribed to the daemon's answers. */
export class ClientSocket {
  readonly url: string;
  readonly #socket: WebSocket;
  readonly #options: SocketOptions;
  #ready = false;

  private constructor(socket: WebSocket, options: SocketOptions) {
    this.url = options.url;
    this.#socket = socket;
    this.#options = options;
  }

  /** Answers when the subscription stands: what is published from then on cannot be answered too early to be seen. */
  static connect(options: SocketOptions): Promise<{ ok: true; socket: ClientSocket } | { ok: false; reason: string }> {
    return new Promise((resolve) => {
      const socket = new WebSocket(options.url, { perMessageDeflate: false, maxPayload: MAX_MESSAGE });
      const made = new ClientSocket(socket, options);
      const end = (reason: string) => {
        clearTimeout(timer);
        socket.terminate();
        made.#lost();
        resolve({ ok: false, reason });
      };
      const timer = setTimeout(() => end(`no answer within ${CONNECT_MS / 1000} s`), CONNECT_MS);
      socket.on('error', (error) => end((error as NodeJS.ErrnoException).code ?? error.message));
      socket.on('close', () => end('the connection was closed'));
      socket.on('open', () => socket.send(JSON.stringify(['REQ', SUBSCRIPTION, options.filter])));
      socket.on('message', (data) => {
        const message = parse(String(data));
        if (message[0] === 'CLOSED') end(`the relay refused the subscription: ${textOf(message[2])}`);
        if (message[0] === 'EVENT') options.onEvent(message[2]);
        if (message[0] === 'OK') options.onOk(textOf(message[1]), message[2] === true, textOf(message[3]));
        if (message[0] !== 'EOSE') return;
        clearTimeout(timer);
        made.#ready = true;
        resolve({ ok: true, socket: made });
      });
    });
  }

  publish(eventJson: string): void {
    if (this.#ready) this.#socket.send(`["EVENT",${eventJson}]`);
  }

  close(): void {
    this.#ready = false;
    this.#socket.terminate();
  }

  #lost(): void {
    if (!this.#ready) return;
    this.#ready = false;
    this.#options.onClose();
  }
}

function parse(text: string): unknown[] {
  try {
    const message = JSON.parse(text);
    return Array.isArray(message) ? message : [];
  } catch {
    return [];
  }
}

/** An object that a relay sends need not have a text; what it says is shown on a terminal. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? plainLine(value) : '';
}
