/**
 * Stands in for `uvu` in a test file: registers everything with the real one, and tells the wrapper what was
 * registered, what runs and how it ended. uvu itself swallows what a `before` hook throws, forgets suites that are
 * never run and ends well when a test never settles.
 */
import * as uvu from 'uvu';
import { watch } from './watch.ts';

type Test = ReturnType<typeof uvu.suite>;
type Callback = Parameters<Test>[1];
type Hook = Parameters<Test['before']>[0];

function stand(real: Test, suiteName: string): Test {
  const full = (name: string) => (suiteName === '' ? name : `${suiteName}: ${name}`);
  const hook =
    (kind: string, add: (hook: Hook) => void) =>
    (handler: Hook): void =>
      add((context) => watch.hook(full(kind), () => handler(context)));

  const test = (name: string, handler: Callback): void => {
    const id = watch.register(full(name));
    real(name, (context) => watch.test(id, () => handler(context)));
  };
  test.only = (name: string, handler: Callback): void => {
    const id = watch.register(full(name));
    watch.only(full(name));
    real.only(name, (context) => watch.test(id, () => handler(context)));
  };
  test.skip = (name?: string): void => {
    watch.skip(full(name ?? 'a test without a name'));
    real.skip();
  };
  test.before = Object.assign(hook('before', real.before), { each: hook('before each', real.before.each) });
  test.after = Object.assign(hook('after', real.after), { each: hook('after each', real.after.each) });
  test.run = real.run;
  return test as Test;
}

export const test = stand(uvu.test as Test, '');
export const suite = (name = '', state?: object): Test => stand(uvu.suite(name, state as never) as Test, name);
