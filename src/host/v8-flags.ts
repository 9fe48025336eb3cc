import { setFlagsFromString } from 'node:v8';

/**
 * V8 throws bytecode away that has not run for some collections, though its compiled form is in use: a key's thread then
 * compiles the same functions again and again, for a tenth of what a request costs. To be called before any thread
 * starts.
 */
export function keepBytecode(): void {
  setFlagsFromString('--no-flush-bytecode');
}
