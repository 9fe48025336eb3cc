import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from './until.ts';

const PROGRAM = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', chr(0), 1))
print('listening', flush=True)
while True:
    print(s.recv(4096).decode().replace(chr(10), ' '), flush=True)
`;

/** A socket of the kind that systemd listens on, at a path or a name that begins with `@`. Node has none; Python has. */
export class DatagramListener {
  readonly #child;
  #heard = '';

  constructor(name: string) {
    this.#child = spawn('python3', ['-c', PROGRAM, name], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout.on('data', (chunk) => {
      this.#heard += chunk;
    });
  }

  /** A line for each message. */
  get heard(): string {
    return this.#heard.replace('listening\n', '');
  }

  async start(): Promise<this> {
    await until('somebody listens', () => this.#heard.startsWith('listening\n'));
    return this;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
  }
}
