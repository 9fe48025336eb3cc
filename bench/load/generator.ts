import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { RunningSigner } from '../peers/signer.ts';
import type { FromLoad, Measured, Order, ToLoad } from './protocol.ts';

/** The load generator's process, as a benchmark sees it: all clients of one signer. */
export class Generator {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Started, and its clients subscribed. */
  static async start({ relay, clients, pid }: RunningSigner): Promise<Generator> {
    const generator = new Generator(fork(join(import.meta.dirname, 'main.ts')));
    await generator.#ask({ open: { relay, clients, signerPid: pid } });
    return generator;
  }

  /** @throws Error when an answer was wrong or missing */
  async run(order: Order): Promise<Measured> {
    const answer = await this.#ask({ run: order });
    if (!('measured' in answer)) throw new Error('the load generator did not measure');
    return answer.measured;
  }

  close(): void {
    this.#child.kill();
  }

  #ask(message: ToLoad): Promise<FromLoad> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const answered = (answer: FromLoad) => {
        child.off('exit', ended);
        if ('failed' in answer) reject(new Error(answer.failed));
        else resolve(answer);
      };
      const ended = () => {
        child.off('message', answered);
        reject(new Error('the load generator ended'));
      };
      child.once('message', answered);
      child.once('exit', ended);
      child.send(message);
    });
  }
}
