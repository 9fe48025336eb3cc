/** What a command has to show: data for programs, text for people. */
export interface Shown {
  data: unknown;
  text: string;
}

/** Prints the one or the other on standard output; messages go to standard error. */
export function show({ data, text }: Shown, json: boolean | undefined): void {
  process.stdout.write(json === true ? `${JSON.stringify(data, null, 2)}\n` : `${text}\n`);
}

export function say(message: string): void {
  process.stderr.write(`${message}\n`);
}

/** Rows under headings, in columns. `none` is said when there are no rows. */
export function table(headings: readonly string[], rows: readonly (readonly unknown[])[], none: string): string {
  if (rows.length === 0) return none;
  const cells = [headings, ...rows].map((row) => row.map(cell));
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  return cells
    .map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Names were chosen by somebody else: nothing in them may steer the terminal. */
export function cell(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return String(value).replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '?');
}
