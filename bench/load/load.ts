import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { RunningSigner } from '../peers/signer.ts';
import type { FromLoad, Measured, Order, ToLoad } from './protocol.ts';

/** The load on one signer: all its clients, in the load generator's process. */
export class Load {
  readonly #child = fork(join(import.meta.dirname, 'main.ts'));
  readonly #signer: RunningSigner;

  private constructor(signer: RunningSigner) {
    this.#signer = signer;
  }

  /** Started, and its clients subscribed. */
  static async start(signer: RunningSigner): Promise<Load> {
    const load = new Load(signer);
    const { relay, clients, pid } = signer;
    await load.#ask({ open: { relay, clients, signerPid: pid } });
    return load;
  }

  get signerPid(): number {
    return this.#signer.pid;
  }

  /** @throws Error when an answer was wrong or missing */
  async run(order: Order): Promise<Measured> {
    const answer = await this.#ask({ run: order });
    if (!('measured' in answer)) throw new Error('the load generator did not measure');
    return answer.measured;
  }

  /** Ends the generator and the signer. */
  async close(): Promise<void> {
    this.#child.kill();
    await this.#signer.close();
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
