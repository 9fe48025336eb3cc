/** Items that one line tells. */
const FEW = 10;

/** For one line of text: the first few, and how many more there are. */
export function firstFew<T>(items: readonly T[], text: (item: T) => string): string {
  const more = items.length > FEW ? `, and ${items.length - FEW} more` : '';
  return `${items.slice(0, FEW).map(text).join(', ')}${more}`;
}
