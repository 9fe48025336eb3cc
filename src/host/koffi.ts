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
      return require(`koffi/build/koffi/${system}_${arch}/koffi.node`);
    } catch {}
  }
  // It has other names for some processors, and the better error.
  return require('koffi');
}
