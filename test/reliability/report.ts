/** The table of promises, for the screen and as docs/RELIABILITY.md. */
import { lineOf } from '../runner/figures.ts';
import type { FileRecord } from './ledger.ts';
import { type Shown, type Standing, verdict } from './standing.ts';

/** For the screen: what holds, and the figures. */
export function screenTable(standings: readonly Standing[]): string {
  const holding = standings.filter(({ holds }) => holds).length;
  const lines = standings.flatMap((standing) => {
    const { id, promise } = standing.promised;
    const figures = best(standing).flatMap(({ record }) => figuresOf(record, id).map((figure) => `       ${figure}`));
    return [`${id.padEnd(5)} ${verdict(standing)}: ${promise}`, ...figures];
  });
  return [`${holding} of ${standings.length} promises hold (docs/RELIABILITY.md)`, ...lines].join('\n');
}

/** docs/RELIABILITY.md, without the text around it. */
export function markdownTable(standings: readonly Standing[]): string {
  const rows = standings.map((standing) => {
    const { id, promise } = standing.promised;
    const stands = standing.holds ? verdict(standing) : `**${verdict(standing)}**`;
    return `| [${id}](#${id.toLowerCase()}) | ${promise} | ${stands} | ${lastRuns(standing.shown)} |`;
  });
  return ['| id | promise | stands | run |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** One section for each promise: what is done, by which files, with which figures. */
export function markdownSections(standings: readonly Standing[]): string {
  return standings
    .map((standing) => {
      const { id, promise, how } = standing.promised;
      const files = standing.shown.map(({ file, record }) => `- \`${file}\`: ${told(record)}`);
      const missing = standing.missing.map((file) => `- \`${file}\`: **missing**`);
      const figures = best(standing).flatMap(({ file, record }) =>
        figuresOf(record, id).map((figure) => `- ${figure} (\`${file.replace('test/', '')}\`)`),
      );
      const measured = figures.length > 0 ? ['', 'Figures:', '', ...figures] : ['', 'It prints no figures.'];
      return [`### ${id}`, '', `${promise}: ${how}.`, '', ...files, ...missing, ...measured].join('\n');
    })
    .join('\n\n');
}

/** Which machines the records are of. */
export function machines(standings: readonly Standing[]): string {
  const records = standings.flatMap(({ shown }) => shown.flatMap(({ record }) => record ?? []));
  const found = new Set(records.map(({ machine, node }) => `- ${machine}, Node ${node}`));
  return [...found].sort().join('\n');
}

/** A short form says nothing where the long form of the same file has said it with larger numbers. */
function best({ shown, promised }: Standing): Shown[] {
  const telling = shown.filter(({ record }) => figuresOf(record, promised.id).length > 0);
  return telling.filter(
    ({ file }) =>
      !telling.some((other) => other.file === file.replace(/\.test\.ts$/, '.long.ts') && other.file !== file),
  );
}

function figuresOf(record: FileRecord | null, id: string): string[] {
  const lines = (record?.figures ?? []).filter(({ ids }) => ids.includes(id));
  return lines.map(({ ids, values: { what, ...values } }) => {
    const told = plain(values);
    if (what === undefined) return told || lineOf({ ids, values });
    return `${what}: ${told}`;
  });
}

/** `{"integrityOk":true,"kills":500}` as "integrity ok: true, kills: 500". */
function plain(values: { [name: string]: unknown }): string {
  return Object.entries(values)
    .map(([name, value]) => `${words(name)}: ${said(value)}`)
    .join(', ');
}

function said(value: unknown): string {
  if (typeof value === 'number') return value.toLocaleString('en', { maximumFractionDigits: 3 });
  if (Array.isArray(value)) return value.map(said).join(' / ');
  if (typeof value === 'object' && value !== null) return `(${plain(value as { [name: string]: unknown })})`;
  return String(value);
}

/** `searchedMiB` as "searched (MiB)", `answeredTwice` as "answered twice". */
function words(name: string): string {
  const [, stem, unit] = /^(.+?)(MiB|Ms)?$/.exec(name)!;
  const spaced = stem!.replace(
    /([a-z0-9])([A-Z])/g,
    (_, before: string, capital: string) => `${before} ${capital.toLowerCase()}`,
  );
  return unit === undefined ? spaced : `${spaced} (${unit === 'Ms' ? 'ms' : unit})`;
}

function told(record: FileRecord | null): string {
  if (record === null) return '**not run**';
  const { passed, failed, skipped, seconds, date } = record;
  const counts = [
    `${passed} passed`,
    failed > 0 ? `**${failed} failed**` : '',
    skipped > 0 ? `${skipped} skipped` : '',
  ];
  return `${counts.filter(Boolean).join(', ')}; ${seconds} s, ${date.slice(0, 10)}`;
}

/** The oldest and the newest day. */
function lastRuns(shown: readonly Shown[]): string {
  const days = shown.flatMap(({ record }) => record?.date.slice(0, 10) ?? []).sort();
  const [first, last] = [days[0], days.at(-1)];
  return first === undefined ? '' : first === last ? first : `${first} to ${last}`;
}
