/** Which installation a command works on when nobody names one. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { whichInstallation } from '../../src/cli/admin-access.ts';
import { besideConfiguration } from '../../src/quickstart.ts';
import { runCli } from '../support/cli.ts';

let cwd: string;
test.before.each(() => {
  cwd = mkdtempSync(join(tmpdir(), 'redoubt-which-'));
});
test.after.each(() => rmSync(cwd, { recursive: true }));

function write(folder: string, content: object): string {
  mkdirSync(join(cwd, folder));
  const path = join(cwd, folder, 'nsecbunker.json');
  writeFileSync(path, JSON.stringify(content), { mode: 0o600 });
  return path;
}

/** Each with what it needs besides; all of them name the configuration that they cannot use. */
const COMMANDS = [
  ['start'],
  ['config', 'check'],
  ['config', 'show'],
  ['doctor'],
  ['audit', 'verify'],
  ['audit', 'export'],
  ['backup', 'archive', '--plain'],
  ['migrate'],
  ['strip-photocopies'],
  ['key', 'export', 'k'],
  ['key', 'upgrade'],
];

test('config/ wins over what a quickstart has made in ./data, for every command', async () => {
  const wanted = write('config', {});
  const other = write('data', {});
  writeFileSync(join(cwd, 'data', 'quickstart.json'), '{}');
  for (const args of COMMANDS) {
    const { stdout, stderr } = await runCli(args, { cwd });
    const said = stdout + stderr;
    assert.ok(said.includes(`${wanted}: admin is missing`) && !said.includes(other), `${args.join(' ')}: ${said}`);
  }
  const { stderr } = await runCli(['status'], { cwd });
  assert.ok(stderr.includes(join(cwd, 'config')), stderr);
});

test('where nothing is, every command means the same file', async () => {
  for (const args of COMMANDS) {
    const { stdout, stderr } = await runCli(args, { cwd });
    const wanted = `${join(cwd, 'config', 'nsecbunker.json')}: there is no such configuration file`;
    assert.ok((stdout + stderr).includes(wanted), `${args.join(' ')}: ${stdout}${stderr}`);
  }
});

test('without config/ commands work on what a quickstart has made', () => {
  write('data', {});
  assert.is(whichInstallation({}, {}, cwd).data, join(cwd, 'data'));
});

test('a config/ that cannot be looked at is there', () => {
  write('data', {});
  symlinkSync('config', join(cwd, 'config'));
  assert.is(whichInstallation({}, {}, cwd).data, join(cwd, 'config'));
  assert.match(String(besideConfiguration({}, {}, cwd)), 'config/nsecbunker.json');
});

test.run();
