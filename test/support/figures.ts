/** What a test saw of a promise (docs/RELIABILITY.md), as a line of its own: uvu's dots stand on the line before it. */
export function printFigures(promise: string, seen: object): void {
  console.log(`\n${promise} ${JSON.stringify(seen)}`);
}
