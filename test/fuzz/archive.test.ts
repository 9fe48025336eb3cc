// deadline: 300 s
/**
 * Archives of a backup that were damaged, or made by somebody else so that every digest in them is right: a restore
 * refuses them in one line and leaves nothing behind, or puts a whole installation in place.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digest } from '../../src/maintenance/archive/manifest.ts';
import { runMain } from '../cli/run.ts';
import { forge } from '../maintenance/forged.ts';
import { emptyFolder, legacyInstallation } from '../maintenance/installation.ts';
import { printFigures } from '../support/figures.ts';
import { SCALE, SEED } from './layer.ts';
import { mutatedBytes, mutatedJson } from './mutate.ts';

const CASES = Number(process.env.REDOUBT_FUZZ_ARCHIVES ?? 60) * SCALE;
const figures = { cases: 0, restored: 0, refused: 0, crashes: 0 };

const { data } = legacyInstallation();
const config = readFileSync(join(data, 'nsecbunker.json'));
const database = readFileSync(join(data, 'nsecbunker.db'));
const contents = [config, database];
const manifest = {
  createdAt: 1_700_000_000_000,
  redoubt: '0.1.0',
  counts: { keys: 1, pairings: 1, auditRows: 0 },
  entries: ['config/nsecbunker.json', 'database/nsecbunker.db'].map((path, i) => ({
    path,
    size: contents[i]!.length,
    sha256: digest(contents[i]!),
  })),
};
const plain = readFileSync(forge(JSON.stringify(manifest), contents));

async function restore(file: string): Promise<string> {
  const target = emptyFolder();
  process.env.DATABASE_URL = `file:${join(target, 'nsecbunker.db')}`;
  try {
    figures.cases++;
    const { code, err } = await runMain(['restore', file, '--data', target]);
    if (code === 0) {
      figures.restored++;
      for (const name of ['nsecbunker.json', 'nsecbunker.db']) assert.ok(existsSync(join(target, name)), name);
      return 'restored';
    }
    figures.refused++;
    assert.match(err, /^(made .{10,300}\n)?(verifying .{5,60}\n)*redoubt: .{3,500}\n$/, `exit code ${code}: ${err}`);
    assert.not.match(err.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u);
    assert.equal(readdirSync(target), [], err);
    return err;
  } finally {
    delete process.env.DATABASE_URL;
    rmSync(target, { recursive: true, force: true });
  }
}

/** @returns how it ended */
async function restoreBytes(bytes: Uint8Array): Promise<string> {
  const file = join(emptyFolder(), 'archive');
  writeFileSync(file, bytes);
  return restore(file);
}

test.after(() => printFigures('R11', { what: 'archives', ...figures }));

test('whole, it is restored', async () => {
  assert.is(await restoreBytes(plain), 'restored');
});

test('its files in another order, and without one of them', async () => {
  const [first, second] = manifest.entries;
  const listed = (entries: unknown[]) => JSON.stringify({ ...manifest, entries });
  await restore(forge(listed([second, first]), [database, config]));
  assert.match(await restore(forge(listed([first]), [config])), /lacks database/);
  assert.is.not(await restore(forge(listed([first, second]), [config])), 'restored');
  assert.is.not(await restore(forge(listed([first, second]), [config, database, config])), 'restored');
});

test(`${CASES} lists of contents that are wrong somewhere, under a digest that is right`, async () => {
  await fc.assert(
    fc.asyncProperty(mutatedJson([manifest]), async (text) => void (await restore(forge(text, contents)))),
    { numRuns: CASES, seed: SEED, includeErrorInReport: true },
  );
});

test(`${CASES} damaged archives`, async () => {
  await fc.assert(
    fc.asyncProperty(mutatedBytes([plain]), async (bytes) => {
      const ended = await restoreBytes(bytes);
      if (!plain.equals(bytes)) assert.is.not(ended, 'restored');
    }),
    { numRuns: CASES, seed: SEED, includeErrorInReport: true },
  );
});

test.run();
