import { say } from './output.ts';
import { EXIT } from './refusal.ts';

const lost = new AbortController();

/** Aborted when standard output takes no more: what would go on printing ends. */
export const outputLost: AbortSignal = lost.signal;

/**
 * A command whose output is not taken runs to its end. Whoever closed a pipe has read enough, and nothing is said;
 * anything else fails the command. Node tells of it after the write that met it, and perhaps after the command.
 */
export function watchOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (lost.signal.aborted) return;
    lost.abort();
    if (error.code === 'EPIPE') return;
    say(`redoubt: standard output cannot be written (${error.code})`);
    process.on('exit', () => {
      process.exitCode ||= EXIT.failed;
    });
  });
  // There is nowhere to say it.
  process.stderr.on('error', () => {});
}
