import { Tables } from './0001-tables.ts';
import { Additions } from './0002-additions.ts';

/** In order. A name that was released is never changed: databases remember it. */
export const MIGRATIONS = [
  { name: '0001-tables', class: Tables },
  { name: '0002-additions', class: Additions },
];
