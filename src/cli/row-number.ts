import { EXIT, Refusal } from './refusal.ts';

/**
 * The number of a row, as lists show it.
 *
 * @param what is done by it, for example `a token is revoked`
 * @param list the command that shows the numbers, for example `token list`
 */
export function rowNumber(text: string, what: string, list: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new Refusal(`${what} by its number: see "redoubt ${list}"`, EXIT.usage);
}
