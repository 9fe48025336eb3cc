import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

/** What a process that is killed right after its last line has written. */
function written(format: string, level = 'info'): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(import.meta.dirname, 'write.ts'), format, level], (_, stdout, stderr) => {
      assert.is(stdout, '', 'standard output is for data');
      resolve(stderr);
    });
  });
}

type Line = { [field: string]: unknown };
let lines: Line[] = [];
let text = '';
let pretty = '';

test.before(async () => {
  [text, pretty] = await Promise.all([written('auto'), written('pretty')]);
  lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
});

function line(message: string): Line {
  return lines.find(({ msg }) => String(msg).startsWith(message)) as Line;
}

test('away from a terminal lines are JSON, and none is lost at kill -9', () => {
  const { time, ...first } = lines[0] as Line;
  assert.equal(first, { level: 'info', msg: 'started', version: '1.2.3', port: 4736, quickstart: true, nothing: null });
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.is(lines.at(-1)?.msg, 'not an error');
});
test('what lies below the level is left out', async () => {
  assert.not.match(text, 'below the level');
  assert.match(await written('json', 'debug'), 'below the level');
});
test('pretty lines are for people', () => {
  assert.match(pretty, /\d\d:\d\d:\d\d\.\d{3}\] INFO: started/);
  assert.throws(() => JSON.parse(pretty.split('\n')[0] as string));
});
for (const form of ['JSON', 'pretty']) {
  test(`no secret is in ${form} lines, be it in a field, a message or an exception`, () => {
    const all = form === 'JSON' ? text : pretty;
    assert.not.match(all, /hunter2|aHVudGVyMg|nsec1vl0/);
    assert.ok(all.split('[redacted]').length > 8, all);
  });
}
test('what is no secret stays', () => {
  assert.is(line('fields').keyName, 'alice');
  assert.is(line('fields').tokenId, 7);
  assert.is(line('uri').uri, 'bunker://abc?relay=wss%3A%2F%2Fa&secret=[redacted]');
  assert.is(line('uri').again, 'x%26secret%3D[redacted]&y=1');
});
test('control characters of a client are taken out', () => {
  const { time, ...rest } = line('client said');
  assert.equal(rest, {
    level: 'warn',
    msg: 'client said\ufffd\ufffd[2Jnothing',
    method: 'a\ufffdb',
  });
  assert.not.match(pretty, '\u001b[2J');
});
test('an exception is told with its code, stack and cause, and without what hangs on it', () => {
  const { err } = line('failed') as { err: { [field: string]: unknown } };
  assert.equal(Object.keys(err).sort(), ['code', 'message', 'stack', 'type']);
  assert.is(err.code, 'EBROKE');
  assert.match(String(err.stack), 'write.ts');
  assert.match(JSON.stringify(line('failed twice').err), '"type":"TypeError","message":"inner"');
  assert.equal(line('not an error').err, { message: 'a thrown string' });
});
test.run();
