import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bundle, bundle, entries } from '../build.ts';

const root = join(import.meta.dirname, '..');

/** Packages that a bundle holds or loads. */
function packagesOf({ metafile }: Bundle): Set<string> {
  const held = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs));
  const loaded = Object.values(metafile.outputs).flatMap(({ imports }) =>
    imports.map(({ path }) => (isBuiltin(path) ? path : `node_modules/${path}`)),
  );
  const names = [...held, ...loaded].map((path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
  return new Set(names.filter((name) => name !== undefined));
}

const bundles = new Map<string, Bundle>();
const contents = suite('what bundles hold');
contents.before(async () => {
  for (const entry of entries()) {
    if (existsSync(join(root, entry.source))) bundles.set(entry.source, await bundle(entry));
  }
});
contents('packages are found in a bundle', () => {
  const policy = packagesOf(bundles.get('workers/policy.ts') as Bundle);
  assert.ok(policy.has('@mikro-orm/core'), 'held');
  assert.ok(policy.has('better-sqlite3'), 'loaded');
});
contents('a key actor holds nothing but what signing needs', () => {
  const held = packagesOf(bundles.get('workers/key.ts') as Bundle);
  const allowed = [
    '@noble/ciphers',
    '@noble/hashes',
    '@noble/secp256k1',
    'koffi',
    'tiny-secp256k1',
    'uint8array-tools',
  ];
  for (const name of held) assert.ok(allowed.includes(name), `the key worker holds ${name}`);
  for (const name of ['zod', '@mikro-orm/core', 'fastify', 'pino', 'nostr-tools']) assert.not(held.has(name), name);
});
contents('the vault holds no package at all', () => {
  assert.equal([...packagesOf(bundles.get('workers/vault.ts') as Bundle)], []);
});
contents('no worker holds fastify, pino or prom-client: workers print nothing', () => {
  for (const [source, built] of bundles) {
    if (!source.startsWith('workers/')) continue;
    for (const name of ['fastify', 'pino', 'pino-pretty', 'prom-client']) {
      assert.not(packagesOf(built).has(name), `${source}: ${name}`);
    }
  }
});
contents('of the workers only the policy actor opens the database', () => {
  for (const [source, built] of bundles) {
    if (!source.startsWith('workers/') || source === 'workers/policy.ts') continue;
    for (const name of ['better-sqlite3', '@mikro-orm/core'])
      assert.not(packagesOf(built).has(name), `${source}: ${name}`);
  }
});
contents('the daemon leaves MikroORM to the policy actor', () => {
  assert.not(packagesOf(bundles.get('src/main.ts') as Bundle).has('@mikro-orm/core'));
});
contents('every entry exists', () => {
  assert.equal(
    entries().filter(({ source }) => !bundles.has(source)),
    [],
  );
});
contents('every bundle is ASCII: with one other character V8 would keep all of it in two bytes a character', () => {
  for (const [source, { files }] of bundles) {
    const { contents } = files.find(({ path }) => /\.c?js$/.test(path))!;
    assert.is(
      contents.findIndex((byte) => byte > 127),
      -1,
      source,
    );
  }
});
contents("the main thread does without Node's own HTTP client: 15 MiB and 30 ms", async () => {
  const loaded = async (first: string) => {
    const program = `await import(${JSON.stringify(first)}); console.log(process.moduleLoadList.join())`;
    const { stdout } = await run(['--input-type=module', '-e', program]);
    return stdout.includes('undici');
  };
  assert.ok(await loaded('node:http'), 'Node loads it for who imports node:http');
  assert.not(await loaded(join(root, 'dist/redoubt.js')));
});
contents.run();

const command = suite('the command');
let project = '';

command.before.each(() => {
  project = mkdtempSync(join(tmpdir(), 'redoubt-build-'));
  for (const folder of ['src', 'workers', 'prisma-compat']) mkdirSync(join(project, folder));
  for (const file of ['build.ts', 'package.json', 'package-lock.json', 'tsconfig.json']) {
    copyFileSync(join(root, file), join(project, file));
    age(join(project, file));
  }
  for (const { source } of entries()) {
    const text = source === 'src/main.ts' ? 'console.log(__REDOUBT_VERSION__);\n' : 'export {};\n';
    writeFileSync(join(project, source), text);
    age(join(project, source));
  }
  for (const folder of ['src', 'workers', 'prisma-compat']) age(join(project, folder));
  symlinkSync(join(root, 'node_modules'), join(project, 'node_modules'));
});
command.after.each(() => rmSync(project, { recursive: true }));

/** An hour old. */
function age(path: string): void {
  const past = new Date(Date.now() - 3_600_000);
  utimesSync(path, past, past);
}
function build(...flags: string[]): Promise<{ code: number; stderr: string }> {
  return run([join(project, 'build.ts'), ...flags]);
}
function run(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}
const output = (name: string) => join(project, 'dist', name);
/** Tells one build's file from the next one's. */
const made = (name: string) => statSync(output(name)).ino;

command('makes one file for each entry, with its map and the version', async () => {
  assert.is((await build()).code, 0);
  const files = (folder: string) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.cjs'))
      .sort();
  assert.equal(files(output('workers')), [
    'admin.cjs',
    'key.cjs',
    'policy.cjs',
    'unlock.cjs',
    'vault.cjs',
    'verify.cjs',
  ]);
  assert.equal(readdirSync(output('.')).sort(), [
    'package.json',
    'redoubt.js',
    'redoubt.js.map',
    'secp256k1.wasm',
    'workers',
  ]);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  assert.is((await run([output('redoubt.js')])).stdout, `${version}\n`);
  assert.match(
    readFileSync(output('redoubt.js'), 'utf8'),
    /^#!\/usr\/bin\/env node\n[\s\S]*\/\/# sourceMappingURL=redoubt\.js\.map\n$/,
  );
  assert.is(statSync(output('redoubt.js')).mode & 0o111, 0o111);
});
command('--if-stale builds when something is newer, or missing, and else nothing', async () => {
  await build('--if-stale');
  let before = made('redoubt.js');
  const rebuilt = async (): Promise<boolean> => {
    assert.is((await build('--if-stale')).code, 0);
    const now = made('redoubt.js');
    const changed = now !== before;
    before = now;
    return changed;
  };
  assert.is(await rebuilt(), false);
  for (const file of [
    'src/main.ts',
    'workers/key.ts',
    'package-lock.json',
    'build.ts',
    'package.json',
    'tsconfig.json',
  ]) {
    utimesSync(join(project, file), new Date(), new Date());
    assert.is(await rebuilt(), true, file);
    age(join(project, file));
    assert.is(await rebuilt(), false, file);
  }
  mkdirSync(join(project, 'src/deep'));
  writeFileSync(join(project, 'src/deep/new.ts'), '');
  assert.is(await rebuilt(), true, 'a new file');
  rmSync(output('workers/vault.cjs'));
  assert.is(await rebuilt(), true, 'a missing output');
  assert.ok(existsSync(output('workers/vault.cjs')));
});
command('removes what an earlier build left', async () => {
  await build();
  writeFileSync(output('workers/old.js'), '');
  age(output('workers/old.js'));
  await build();
  assert.not(existsSync(output('workers/old.js')));
});
command('fails when one entry does not build or is missing; the others are built', async () => {
  writeFileSync(join(project, 'workers/key.ts'), 'import "./missing.ts";');
  rmSync(join(project, 'workers/vault.ts'));
  const { code, stderr } = await build('--if-stale');
  assert.is(code, 1);
  assert.match(stderr, 'Could not resolve "./missing.ts"');
  assert.match(stderr, 'workers/vault.ts');
  assert.not(existsSync(output('workers/key.cjs')));
  assert.ok(existsSync(output('redoubt.js')));
  assert.is((await build('--if-stale')).code, 1);
});
command.run();
