/**
 * Adopts a database and is killed before its nth statement, whichever that is: `FILE N`. Ends with 0 when there was no
 * nth, and says how many there were. In this thread, where the statements can be counted; migration-child.ts has the actor.
 */
import { writeSync } from 'node:fs';
import Database from 'better-sqlite3';
import { openStore } from '../../src/store/open.ts';

const [path, last] = process.argv.slice(2) as [string, string];
let statements = 0;

function count(): void {
  statements++;
  if (statements === Number(last)) process.kill(process.pid, 'SIGKILL');
}

type Method = (...args: unknown[]) => unknown;

/** Counts calls of this method that write, or may. */
function watch(prototype: object, name: string): void {
  const methods = prototype as { [name: string]: Method };
  const real = methods[name]!;
  methods[name] = function (this: { readonly?: boolean }, ...args: unknown[]) {
    if (this.readonly !== true) count();
    return real.apply(this, args);
  };
}

const some = new Database(':memory:');
const statement = Object.getPrototypeOf(some.prepare('SELECT 1')) as object;
some.close();
for (const name of ['run', 'get', 'all', 'iterate']) watch(statement, name);
for (const name of ['exec', 'pragma']) watch(Database.prototype, name);

const opened = await openStore({ databasePath: path, keysInKeystore: 5, allowEmptyDatabase: false });
if (!opened.ok) throw new Error(opened.refusal);
await opened.store.orm.close(true);
writeSync(1, String(statements));
