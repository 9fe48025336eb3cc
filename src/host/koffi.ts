import { createRequire } from 'node:module';

export type Koffi = typeof import('koffi');

/**
 * The addon of the package koffi by itself. The package's own entry also loads what koffi is built with, Node's HTTPS
 * client among it: 1 to 3 MiB and 7 ms in every thread.
 *
 * @throws Error when the package is missing or has no addon for this machine
 */
export function loadKoffi(): Koffi {
  const require = createRequire(import.meta.url);
  const { platform, arch } = process;
  // The second is for systems with musl in place of glibc, where the first does not load.
  for (const system of platform === 'linux' ? ['linux', 'musl'] : [platform]) {
    try {
      return undescribed(require(`koffi/build/koffi/${system}_${arch}/koffi.node`), 'types');
    } catch {}
  }
  // It has other names for some processors, and the better error.
  return require('koffi');
}

/**
 * Without what describes it to JavaScript. Node keeps 48 bytes of each described type for good when it still exists at its
 * thread's end: koffi has 45 of its own, and describes the result and each parameter of a function (`info`). Nobody reads
 * them here, and what nobody holds V8 collects while the thread is young.
 */
export function undescribed<T extends object>(described: T, description: string): T {
  Reflect.deleteProperty(described, description);
  return described;
}
