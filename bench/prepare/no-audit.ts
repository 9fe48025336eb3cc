/**
 * The daemon without a durable audit log, in a folder of its own: its policy worker is bundled with another Journal. No
 * switch in the daemon leads there.
 */
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { optionsOf } from '../../build.ts';

const root = join(import.meta.dirname, '../..');
const POLICY = 'dist/workers/policy.cjs';

/** @returns the program to run; `remove` when done */
export async function daemonWithoutAudit(): Promise<{ entry: string; remove(): void }> {
  const folder = mkdtempSync(join(tmpdir(), 'redoubt-no-audit-'));
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const { outputFiles } = await build({
    ...optionsOf({ source: 'workers/policy.ts', output: POLICY }),
    sourcemap: false,
    plugins: [
      {
        name: 'no audit',
        setup(plugin) {
          const journal = /\/journal\.ts$/;
          plugin.onResolve({ filter: journal }, ({ importer }) =>
            importer.includes('/src/policy/') ? { path: join(import.meta.dirname, 'no-journal.ts') } : null,
          );
        },
      },
    ],
  });
  writeFileSync(join(folder, POLICY), outputFiles[0]!.contents);
  return {
    entry: join(folder, 'dist/redoubt.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
