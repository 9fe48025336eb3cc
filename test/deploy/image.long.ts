// deadline: 600 s
/** The steps of deploy/Dockerfile's build stage as a script in an empty folder, and its program run by nobody special. */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const root = join(import.meta.dirname, '../..');
const [, build = '', image = ''] = readFileSync(join(root, 'deploy/Dockerfile'), 'utf8').split(/^FROM /m);
const folder = mkdtempSync(join(tmpdir(), 'redoubt-image-'));
chmodSync(folder, 0o755);
test.after(() => rmSync(folder, { recursive: true, force: true }));

/** COPY and RUN, as an engine would carry them out in a folder of its own. */
function carryOut(stage: string, context: string, workdir: string, copied: RegExp): void {
  for (const [, verb, rest] of stage.matchAll(/^(COPY|RUN) ((?:.*\\\n)*.*)$/gm)) {
    if (verb === 'RUN') {
      execFileSync('sh', ['-euc', rest!.replaceAll('\\\n', ' ')], { cwd: workdir, stdio: 'pipe' });
      continue;
    }
    const parts = rest!.replace(copied, '').trim().split(' ');
    const to = join(workdir, parts.pop()!);
    for (const from of parts) {
      const name = from.replace(/^\/build\//, '');
      const onto = parts.length > 1 || to.endsWith('/') ? join(to, name) : to;
      cpSync(join(context, name), onto, { recursive: true });
    }
  }
}

test('the build stage makes a program that runs from a read-only folder, as nobody', () => {
  const workdir = join(folder, 'build');
  mkdirSync(workdir);
  carryOut(build, root, workdir, /^$/);
  const program = join(folder, 'root');
  mkdirSync(program);
  carryOut(
    image
      .split('\n')
      .filter((line) => line.startsWith('COPY'))
      .map((line) => line.replace('COPY deploy/', `COPY --from=build ../${'deploy/'}`))
      .filter((line) => !line.includes('healthcheck'))
      .join('\n'),
    workdir,
    program,
    /--from=build /,
  );
  execFileSync('chmod', ['-R', 'a-w,a+rX', program]);
  const data = join(folder, 'data');
  mkdirSync(data);
  const key = '1'.repeat(64);
  writeFileSync(
    join(data, 'nsecbunker.json'),
    JSON.stringify({ admin: { key }, nostr: { relays: ['ws://127.0.0.1:1'] } }),
  );
  execFileSync('chown', ['-R', 'nobody:nogroup', data]);
  const node = join(folder, 'node');
  cpSync(process.execPath, node);
  chmodSync(node, 0o755);
  const asNobody = ['--reuid=nobody', '--regid=nogroup', '--clear-groups', '--no-new-privs', node];
  const run = (...args: string[]) =>
    execFileSync('setpriv', [...asNobody, join(program, 'opt/redoubt/dist/redoubt.js'), ...args], {
      encoding: 'utf8',
      env: { REDOUBT_DATA: data, NODE_ENV: 'production' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  assert.match(run('--version'), /^\d+\.\d+\.\d+\n$/);
  assert.is(run('config', 'check'), `${data}/nsecbunker.json: good\n`);
  for (const name of ['esbuild', '@biomejs/biome', 'uvu']) {
    assert.throws(() => readFileSync(join(program, 'opt/redoubt/node_modules', name, 'package.json')), /ENOENT/, name);
  }
});

test.run();
