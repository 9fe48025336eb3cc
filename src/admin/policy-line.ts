import type { MessagePort } from 'node:worker_threads';
import { Link } from '../actor/link.ts';
import { ActorError, type AskType, type Body, type Handlers, type Reply } from '../actor/protocol.ts';
import type { AdminToPolicy, PolicyToAdmin } from '../policy/protocol.ts';

/** The line to the policy actor, which gets a new port when that actor is restarted. */
export class PolicyLine {
  readonly #handlers: Handlers<PolicyToAdmin>;
  #link: Link<AdminToPolicy, PolicyToAdmin> | undefined;
  #port: MessagePort | undefined;

  constructor(handlers: Handlers<PolicyToAdmin>) {
    this.#handlers = handlers;
  }

  attach(port: MessagePort): void {
    this.close();
    this.#port = port;
    this.#link = new Link<AdminToPolicy, PolicyToAdmin>(port, this.#handlers);
  }

  /** @throws ActorError, as a rejection; `closed` while there is no policy actor */
  ask<K extends AskType<AdminToPolicy>>(type: K, body: Body<AdminToPolicy, K>): Promise<Reply<AdminToPolicy, K>> {
    if (this.#link === undefined) return Promise.reject(new ActorError('closed', `${type}: no policy actor yet`));
    return this.#link.ask(type, body);
  }

  close(): void {
    this.#link?.close();
    this.#port?.close();
    this.#link = undefined;
    this.#port = undefined;
  }
}
