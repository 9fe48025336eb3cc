import { execFileSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadKoffi, undescribed } from '../../src/host/koffi.ts';

/** Which of Node's own modules a process has loaded after this. */
function loadedBy(load: string): string[] {
  const program = `
    import { createRequire } from 'node:module';
    import { loadKoffi } from ${JSON.stringify(new URL('../../src/host/koffi.ts', import.meta.url).href)};
    const require = createRequire(${JSON.stringify(import.meta.url)});
    const koffi = ${load};
    if (typeof koffi.load !== 'function') throw new Error('this is not koffi');
    console.log(JSON.stringify(process.moduleLoadList));`;
  const printed = execFileSync(process.execPath, ['--input-type=module-typescript', '-e', program], {
    encoding: 'utf8',
  });
  return JSON.parse(printed);
}

test('the addon comes without what the package is built with', () => {
  const heavy = (loaded: string[]) =>
    ['NativeModule https', 'NativeModule tls'].filter((name) => loaded.includes(name));
  assert.equal(heavy(loadedBy('loadKoffi()')), []);
  assert.equal(
    heavy(loadedBy("require('koffi')")),
    ['NativeModule https', 'NativeModule tls'],
    'as its own entry does',
  );
});

test('nothing is left of what describes types and functions, and both work', () => {
  const koffi = loadKoffi();
  assert.not('types' in koffi);
  const abs = undescribed(koffi.load(null).func('int abs(int)'), 'info');
  assert.not('info' in abs);
  assert.is(abs(-3), 3);
});

test.run();
