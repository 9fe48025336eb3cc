import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { TestDaemon } from './daemon.ts';
import { until } from './until.ts';

const CHILD = fileURLToPath(new URL('web-interface-child.ts', import.meta.url));

/** What nsecbunkerd's web interface does as an admin, with the library that it is made with. */
export class WebInterface {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: { result: string; error?: string }) => void>();
  /** What the daemon has asked. */
  readonly asked: { id: string; method: string; params: string[] }[] = [];
  #ready = false;
  #next = 1;

  private constructor(daemon: TestDaemon) {
    const { relay, daemon_pubkey } = daemon.quickstart;
    this.#child = fork(CHILD, [relay, daemon.adminSecretKey(), daemon_pubkey], { stdio: 'ignore' });
    this.#child.on(
      'message',
      (message: { ready?: true; asked?: never; n?: number; result: string; error?: string }) => {
        if (message.ready) this.#ready = true;
        if (message.asked !== undefined) this.asked.push(message.asked);
        if (message.n !== undefined) this.#waiting.get(message.n)?.(message);
      },
    );
  }

  static async open(daemon: TestDaemon): Promise<WebInterface> {
    const opened = new WebInterface(daemon);
    await until('the web interface is connected', () => opened.#ready);
    return opened;
  }

  call(method: string, params: unknown[] = []): Promise<{ result: string; error?: string }> {
    const n = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(n, resolve);
      this.#child.send({ call: { n, method, params } });
    });
  }

  /** The result as the web interface takes it: JSON, of which a first element `error` means that it failed. */
  async parsed<T>(method: string, params: unknown[] = []): Promise<T> {
    const { result } = await this.call(method, params);
    const parsed = JSON.parse(result) as T;
    if (Array.isArray(parsed) && parsed[0] === 'error') throw new Error(String(parsed[1]));
    return parsed;
  }

  answer(id: string, result: unknown): void {
    this.#child.send({ answer: [id, JSON.stringify(result)] });
  }

  async close(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
