import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Option, options } from '../../src/config/options.ts';

const page = readFileSync(new URL('../../docs/CONFIGURATION.md', import.meta.url), 'utf8');
const listed = page.split('\n').filter((line) => /^\| `[\w.]+` \|/.test(line));

function row({ path, default: value, byDefault, env, legacy, description }: Option): string {
  const inFile = legacy === undefined ? '' : `; in the file also \`${legacy}\``;
  return `| \`${path}\` | ${byDefault ?? `\`${JSON.stringify(value)}\``} | \`${env}\` | ${description}${inFile} |`;
}

test('every option is documented with its default and its variable', () => {
  for (const option of options) assert.ok(listed.includes(row(option)), `missing in the page: ${row(option)}`);
});
test('every documented option exists', () => {
  const known = options.map(row);
  for (const line of listed) assert.ok(known.includes(line), `not an option: ${line}`);
  assert.is(listed.length, options.length);
});
test('the options that need no restart are the documented ones', () => {
  const [, section = ''] = page.split('## Changing it while the daemon runs');
  const listed = [...section.split('All others')[0]!.matchAll(/`([\w.]+)`[,.\n ]/g)].map((match) => match[1]!);
  const known = new Set(options.map(({ path }) => path));
  assert.equal(
    listed.filter((name) => known.has(name)).sort(),
    options
      .filter(({ live }) => live)
      .map(({ path }) => path)
      .sort(),
  );
});
test('no two options share a variable', () => {
  assert.is(new Set(options.map(({ env }) => env)).size, options.length);
});
test.run();
