import { fileURLToPath } from 'node:url';

/** Where a worker's entry point is: beside the bundle in dist/, or in workers/ when the sources run as they are. */
export function workerFile(name: 'key' | 'policy' | 'admin' | 'vault' | 'unlock' | 'verify'): string {
  const fromSource = import.meta.url.endsWith('.ts');
  const url = new URL(fromSource ? `../workers/${name}.ts` : `./workers/${name}.cjs`, import.meta.url);
  return fileURLToPath(url);
}
