import { main } from '../../src/main.ts';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** Runs a command in this process. */
export async function runMain(args: readonly string[]): Promise<Ran> {
  const written = { out: '', err: '' };
  const { stdout, stderr } = process;
  const writes = [stdout.write, stderr.write] as const;
  const writer = (to: 'out' | 'err') => (text: string) => {
    written[to] += text;
    return true;
  };
  stdout.write = writer('out') as never;
  stderr.write = writer('err') as never;
  try {
    const code = await main(args);
    return { code, ...written };
  } finally {
    [stdout.write, stderr.write] = writes;
    process.exitCode = 0;
  }
}
