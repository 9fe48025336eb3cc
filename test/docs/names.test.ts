/** Every variable, flag, command and configuration path in the documentation exists, and the reverse. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { options } from '../../src/config/options.ts';
import { program } from '../../src/main.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = ['README.md', ...globSync('docs/*.md', { cwd: root })].sort();
const deployed = globSync('deploy/*', { cwd: root }).sort();

/** Variables of ours that are no options: which installation, and what unlocks keys at start. */
const OTHER_VARIABLES = ['REDOUBT_DATA', 'REDOUBT_CONFIG'];
const AUTOUNLOCK = [
  'NSECBUNKER_AUTOUNLOCK_PASSPHRASE',
  'NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE',
  'REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE',
];
/** Variables of the deployment material itself, and of tests. */
const NOT_THE_DAEMONS = [
  'REDOUBT_PASSPHRASE_FILE',
  'REDOUBT_PROBE_SIGNATURES',
  'REDOUBT_SOAK_MINUTES',
  'REDOUBT_SOAK_SEED',
  'REDOUBT_FUZZ_SEED',
  'REDOUBT_FUZZ_SCALE',
];
function commands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commands)];
}
const all = commands(program());
const flags = new Set(['--help', '--version', ...all.flatMap(({ options }) => options.map(({ long }) => long!))]);

test('every environment variable that is written down exists', () => {
  const known = new Set([...options.map(({ env }) => env), ...OTHER_VARIABLES, ...AUTOUNLOCK, ...NOT_THE_DAEMONS]);
  for (const page of [...pages, ...deployed]) {
    for (const [name] of read(page).matchAll(/\b(REDOUBT|NSECBUNKER)_[A-Z0-9_]*[A-Z0-9]\b/g)) {
      assert.ok(known.has(name), `${page}: ${name}`);
    }
  }
});

test('every environment variable is written down', () => {
  const text = pages.map(read).join('\n');
  for (const name of [...options.map(({ env }) => env), ...OTHER_VARIABLES]) {
    assert.match(text, new RegExp(`\\b${name}\\b`));
  }
});

/** What a page shows of our command line: not what it shows of other programs. */
function ours(page: string): string[] {
  const names = all[0]!.commands.map((command) => command.name()).join('|');
  const own = new RegExp(`^(--|(${names})( |$))|(^|\\s)redoubt( --)? (${names}|<)|/redoubt\\.js (${names}|<|--)`);
  const text = read(page);
  const inFences = [...text.matchAll(/^```.*?^```/gms)].flatMap(([block]) => block.split('\n'));
  const spans = [...text.replace(/^```.*?^```/gms, '').matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);
  return [...inFences, ...spans].flatMap((code) => {
    const found = own.exec(code.trim());
    return found === null ? [] : code.trim().slice(found.index);
  });
}

test('every flag that is written down exists', () => {
  let seen = 0;
  // docs/DEVELOPMENT.md is about the build and the tests, which have flags of their own.
  for (const page of pages.filter((page) => page !== 'docs/DEVELOPMENT.md')) {
    for (const code of ours(page)) {
      for (const [flag] of code.matchAll(/(?<![\w-])--[a-z][a-z-]*[a-z]/g)) {
        assert.ok(flags.has(flag), `${page}: ${flag} in: ${code}`);
        seen++;
      }
    }
  }
  assert.ok(seen > 50, String(seen));
});

test('every flag is written down in docs/CLI.md, and every command', () => {
  const page = read('docs/CLI.md');
  for (const flag of flags) if (flag !== '--version') assert.ok(page.includes(flag), `not in docs/CLI.md: ${flag}`);
  for (const command of all.slice(1)) {
    const path = [command.name()];
    for (let above = command.parent; above?.parent != null; above = above.parent) path.unshift(above.name());
    if (command.commands.length === 0) assert.match(page, new RegExp(`\`${path.join(' ')}[ \`]`), path.join(' '));
  }
});

test('every command in docs/CLI.md exists', () => {
  const table = read('docs/CLI.md').split('\n## Commands')[1]!.split('\n## ')[0]!;
  for (const [, cell] of table.matchAll(/^\| `([^`]+)` \|/gm)) {
    let command: Command | undefined = all[0];
    for (const word of cell!.split(' ')) {
      if (command!.commands.length === 0 || !/^[a-z][a-z-]*$/.test(word)) break;
      command = command!.commands.find((sub) => sub.name() === word);
      assert.ok(command !== undefined, `no such command: ${cell}`);
    }
    for (const [flag] of cell!.matchAll(/--[a-z-]+/g)) {
      assert.ok(
        command!.options.some(({ long }) => long === flag),
        `${cell}: ${flag}`,
      );
    }
  }
});

test('every configuration path that is written down exists', () => {
  const known = new Set(options.map(({ path }) => path));
  const groups = new Set([...known].flatMap((path) => (path.includes('.') ? [path.split('.')[0]!] : [])));
  const text = [...pages, ...deployed].map((page) => [page, read(page)] as const);
  for (const [page, content] of text) {
    for (const [, path] of content.matchAll(/(?:`|redoubt\.)((?:[a-z][A-Za-z]*)\.[a-zA-Z]+)\b(?!\.)/g)) {
      const [group] = path!.split('.');
      if (groups.has(group!) && !/\.(ts|md|json)$/.test(path!)) assert.ok(known.has(path!), `${page}: ${path}`);
    }
  }
});

test('every file that the pages link to is there', () => {
  for (const page of pages) {
    for (const [, path] of read(page).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)) {
      const folder = page.includes('/') ? 'docs' : '.';
      assert.ok(globSync(join(folder, path!), { cwd: root }).length === 1, `${page}: ${path}`);
    }
    for (const [, path] of read(page).matchAll(/`(deploy\/[\w.-]+)`/g)) {
      assert.ok(deployed.includes(path!), `${page}: ${path}`);
    }
  }
});

test.run();
