/** Whether a row has this date: the ORM reads a column without one as null, and a row that was just made has none. */
export function isSet(date: number | null | undefined): date is number {
  return date !== null && date !== undefined;
}
