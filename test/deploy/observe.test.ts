/** Dashboard, alert rules and docs/METRICS.md refer to what a daemon gives, and to all of it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { STAGES } from '../../src/metrics/stage-times.ts';
import { Metrics } from '../../src/metrics.ts';
import { ObservedDaemon } from '../http/daemon.ts';
import { isInstalled } from '../runner/lacks.ts';

const deploy = join(import.meta.dirname, '../../deploy');
const alerts = readFileSync(join(deploy, 'alerts.yml'), 'utf8');
const page = readFileSync(join(deploy, '../docs/METRICS.md'), 'utf8');
const grafana = JSON.parse(readFileSync(join(deploy, 'grafana.json'), 'utf8')) as {
  panels: { targets: { expr: string }[] }[];
};

/** Everything that a daemon can give, a sample of each. */
async function everything(): Promise<{ name: string; labels: Set<string>; text: string }[]> {
  const metrics = new Metrics();
  metrics.observe(new ObservedDaemon());
  metrics.finished('sign_event', 'allowed', 1);
  metrics.dropped('strangers: rate');
  metrics.restarted('policy');
  for (const stage of STAGES) metrics.times.observe(stage, 1);
  const text = await metrics.registry.metrics();
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => {
    const samples = text.split('\n').filter((line) => new RegExp(`^${name}(_bucket|_sum|_count)?[{ ]`).test(line));
    const labels = new Set(samples.flatMap((line) => [...line.matchAll(/[{,](\w+)=/g)].map((match) => match[1]!)));
    return { name: type === 'histogram' ? `${name}_bucket` : name!, labels, text: samples.join('\n') };
  });
}

const expressions = [
  ...[...alerts.matchAll(/expr: (?:>-\n\s+)?(.+)/g)].map((match) => match[1]!),
  ...grafana.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
];

test('what rules and dashboard ask for exists, labels and their values too', async () => {
  const series = await everything();
  assert.ok(expressions.length > 30);
  for (const expression of expressions) {
    for (const [, name, matchers = ''] of expression.matchAll(
      /\b((?:redoubt|nsecbunkerd|process|nodejs)_\w+)(?:\{([^}]*)\})?/g,
    )) {
      const found = series.find((one) => one.name === name);
      assert.ok(found !== undefined, `${name} in ${expression}`);
      for (const [, label] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) {
        assert.ok(found.labels.has(label!), `${name} has no label ${label}: ${expression}`);
      }
    }
    for (const [, labels] of expression.matchAll(/by \(([^)]*)\)/g)) {
      const own = new Set(
        [...expression.matchAll(/\b((?:redoubt)_\w+)/g)].flatMap(([name]) => [
          ...(series.find((one) => one.name === name)?.labels ?? []),
        ]),
      );
      for (const label of labels!.split(/,\s*/)) assert.ok(own.has(label), `${label} in ${expression}`);
    }
  }
});

test('docs/METRICS.md lists every series of ours with its labels, and no other', async () => {
  const rows = page
    .split('\n')
    .map((line) => /^\| (`(?:redoubt|nsecbunkerd)_.+?) \| \w+ \|(.*?)\|/.exec(line))
    .filter((row) => row !== null)
    .flatMap(([, names, labels]) =>
      [...names!.matchAll(/`(\w+)`/g)].map((match) => ({ name: match[1]!, labels: labels!.trim() })),
    );
  const series = (await everything()).filter(({ name }) => /^(redoubt|nsecbunkerd)_/.test(name));
  const plain = (name: string) => name.replace(/_bucket$/, '');
  assert.equal(rows.map(({ name }) => name).sort(), series.map(({ name }) => plain(name)).sort());
  for (const { name, labels } of series) {
    const documented = rows.find((row) => row.name === plain(name))!.labels!;
    assert.equal(
      documented.split(', ').filter(Boolean).sort(),
      [...labels].filter((label) => label !== 'le').sort(),
      name,
    );
  }
  for (const stage of STAGES) assert.ok(page.includes(`| \`${stage}\` |`), stage);
});

const promtool = isInstalled('promtool') ? test : test.skip;
promtool('Prometheus takes rules, scrape and series', async () => {
  execFileSync('promtool', ['check', 'rules', join(deploy, 'alerts.yml')], { stdio: 'pipe' });
  execFileSync('promtool', ['check', 'config', join(deploy, 'prometheus.yml')], { stdio: 'pipe' });
});

test.run();
