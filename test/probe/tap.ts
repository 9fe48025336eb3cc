/** Sees every message that crosses the main thread's ports, as bytes, before the daemon's own code does. */
import { appendFileSync } from 'node:fs';
import { MessagePort, Worker } from 'node:worker_threads';

type Listener = (...args: unknown[]) => void;

/** Everything readable in a message: strings as UTF-8, byte arrays as they are. */
function contents(value: unknown, out: Buffer[] = [], seen = new Set<unknown>()): Buffer[] {
  if (typeof value === 'string') out.push(Buffer.from(value), Buffer.from('\n'));
  else if (ArrayBuffer.isView(value)) out.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  else if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer)
    out.push(Buffer.from(value as ArrayBuffer));
  else if (typeof value === 'object' && value !== null && !seen.has(value)) {
    seen.add(value);
    for (const [key, item] of Object.entries(value)) {
      out.push(Buffer.from(`${key}\n`));
      contents(item, out, seen);
    }
  }
  return out;
}

/** Installs the tap in this thread; what it sees is appended to `file`. */
export function installTap(file: string): void {
  const see = (value: unknown) => appendFileSync(file, Buffer.concat(contents(value)));
  for (const prototype of [Worker.prototype, MessagePort.prototype] as { postMessage: Listener; on: unknown }[]) {
    const post = prototype.postMessage;
    prototype.postMessage = function (this: unknown, ...args: unknown[]) {
      see(args[0]);
      post.apply(this, args);
    };
    const on = prototype.on as (event: string, listener: Listener) => unknown;
    prototype.on = function (this: unknown, event: string, listener: Listener) {
      if (event !== 'message') return on.call(this, event, listener);
      return on.call(this, event, (...args: unknown[]) => {
        see(args[0]);
        listener.apply(this, args);
      });
    };
  }
}
