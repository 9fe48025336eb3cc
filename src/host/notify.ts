import type { Libc } from './libc.ts';

/** What systemd gives a service of `Type=notify` (sd_notify(3), sd_watchdog_enabled(3)). */
type Environment = { readonly [name: string]: string | undefined };

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Of sockaddr_un.sun_path, unix(7). */
const MAX_PATH = 108;

/**
 * Tells systemd that the daemon is ready, alive or stopping. Node has no datagram sockets of the kind that systemd
 * listens on; a helper program would be one process more for every sign of life, and would have ended before systemd
 * could tell whose it was.
 */
export class Notify {
  readonly #libc: Libc;
  readonly #address: Uint8Array;
  readonly #watchdogMs: number | null;
  #timer: NodeJS.Timeout | undefined;

  /** @returns null where nobody listens; a refusal in one line where somebody does and cannot be told */
  static from(env: Environment, pid: number, libc: Libc | null): Notify | string | null {
    const path = env.NOTIFY_SOCKET;
    if (!path) return null;
    const address = socketAddress(path);
    if (address === null) return 'NOTIFY_SOCKET is no path of a unix socket: systemd is not told anything';
    if (libc === null) return 'koffi does not load here: systemd is not told that the daemon is ready; use Type=exec';
    const watched = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === pid;
    const usec = watched ? Number(env.WATCHDOG_USEC) : Number.NaN;
    return new Notify(libc, address, usec > 0 ? usec / 1000 : null);
  }

  private constructor(libc: Libc, address: Uint8Array, watchdogMs: number | null) {
    this.#libc = libc;
    this.#address = address;
    this.#watchdogMs = watchdogMs;
  }

  /** Client requests are taken. From now on there is a sign of life, if systemd waits for one. */
  ready(): void {
    this.#send('READY=1\nSTATUS=takes requests');
    if (this.#watchdogMs === null) return;
    this.#timer ??= setInterval(() => this.#send('WATCHDOG=1'), this.#watchdogMs / 2).unref();
  }

  stopping(): void {
    clearInterval(this.#timer);
    this.#send('STOPPING=1\nSTATUS=finishes requests in flight');
  }

  /** Never waits: a manager that does not read is none of the clients' business. */
  #send(state: string): void {
    const fd = this.#libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    const data = new TextEncoder().encode(state);
    this.#libc.sendto(fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL, this.#address, this.#address.length);
    this.#libc.close(fd);
  }
}

/** sockaddr_un; `@name` is a name in the abstract namespace. */
function socketAddress(path: string): Uint8Array | null {
  const abstract = path.startsWith('@');
  const name = Buffer.from(abstract ? `\0${path.slice(1)}` : `${path}\0`);
  if (!(abstract || path.startsWith('/')) || name.length > MAX_PATH) return null;
  const family = new Uint8Array(new Uint16Array([AF_UNIX]).buffer);
  return new Uint8Array([...family, ...name]);
}
