import QRCode from 'qrcode';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseDuration } from '../../src/cli/duration.ts';
import { cell, table } from '../../src/cli/output.ts';
import { qrText } from '../../src/cli/qr.ts';
import { Refusal } from '../../src/cli/refusal.ts';
import { parseRule } from '../../src/cli/rule.ts';
import { parseSince } from '../../src/cli/since.ts';
import { daemonOptions, startCommand } from '../../src/cli/start.ts';

function refusal(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    assert.instance(error, Refusal);
    assert.is((error as Refusal).exitCode, 2);
    return (error as Refusal).message;
  }
  throw new Error('accepted');
}

test('rules', () => {
  assert.equal(parseRule('sign_event'), { method: 'sign_event' });
  assert.equal(parseRule('sign_event:1'), { method: 'sign_event', kind: '1' });
  assert.equal(parseRule('sign_event:all=100'), { method: 'sign_event', kind: 'all', use_count: 100 });
  assert.equal(parseRule('sign_event=3'), { method: 'sign_event', use_count: 3 });
  assert.equal(parseRule('nip44_encrypt'), { method: 'nip44_encrypt' });
  assert.is(
    refusal(() => parseRule('sign_evnt:1')),
    '--rule "sign_evnt:1" names no method of NIP-46; the nearest is sign_event',
  );
  for (const bad of [
    '',
    ':1',
    '=1',
    'sign_event:',
    'sign_event:x',
    'sign_event:65536',
    'sign_event:1=',
    'sign_event:1=0',
    'sign_event:1=-1',
    'sign_event:1=1.5',
    'nip44_encrypt:1',
    'Sign_Event',
    'sign_event 1',
  ]) {
    assert.match(
      refusal(() => parseRule(bad)),
      /^--rule "/,
      bad,
    );
  }
});

test('durations', () => {
  for (const [text, hours] of [
    ['30d', 720],
    ['12h', 12],
    ['90m', 1.5],
    ['2w', 336],
    ['1y', 8760],
    ['100y', 876_000],
  ] as const) {
    assert.is(parseDuration(text, '--expires'), hours);
  }
  for (const bad of ['', '30', 'd', '0d', '-1d', '1.5h', '30 d', '101y', '999999999y', 'soon', '1s']) {
    assert.match(
      refusal(() => parseDuration(bad, '--expires')),
      /^--expires: a duration is a number above 0 with a unit/,
      bad,
    );
  }
});

test('a time since: a date or a duration, and past', () => {
  const now = Date.parse('2027-02-01T00:00:00Z');
  for (const [text, iso] of [
    ['2027-01-31', '2027-01-31T00:00:00.000Z'],
    ['2027-01-31T12:00:00Z', '2027-01-31T12:00:00.000Z'],
    ['2027-01-31T12:00:00+02:00', '2027-01-31T10:00:00.000Z'],
    ['48h', '2027-01-30T00:00:00.000Z'],
  ] as const) {
    assert.is(new Date(parseSince(text, now)).toISOString(), iso);
  }
  for (const bad of ['', '48', '2026', '2027-01', '1/2/2026', 'Jan 31 2027', 'yesterday', '2027-13-01', '1969-12-31']) {
    assert.match(
      refusal(() => parseSince(bad, now)),
      /^--since is a date/,
      bad,
    );
  }
  assert.match(
    refusal(() => parseSince('2027-02-02', now)),
    /^--since lies in the future/,
  );
  assert.match(
    refusal(() => parseSince('100000y', now)),
    /^--since: a duration is/,
  );
});

test('options of start', async () => {
  const options = (...args: string[]) => {
    const command = startCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .action(() => {});
    command.parse(args, { from: 'user' });
    return daemonOptions(command.opts());
  };
  assert.equal(options(), { quickstart: false, migrate: true, allowEmptyDatabase: false });
  assert.equal(
    options('--quickstart', '--data', 'd', '--port', '0', '--http-port', '80', '--no-migrate', '--allow-empty-db'),
    {
      quickstart: true,
      migrate: false,
      allowEmptyDatabase: true,
      data: 'd',
      relayPort: 0,
      httpPort: 80,
    },
  );
  assert.equal(options('--config', 'f').config, 'f');
  for (const bad of ['x', '-1', '65536', '1.5', ''])
    assert.throws(() => options('--port', bad), /a port is a number/, bad);
});

test('tables show names that somebody else chose without their tricks', () => {
  assert.is(cell('a\u001b[2Jb\u009bc\u202ed\ne'), 'a?[2Jb?c?d?e');
  assert.is(
    table(
      ['NAME', 'N'],
      [
        ['long name', 1],
        ['x', null],
      ],
      'none',
    ),
    'NAME       N\nlong name  1\nx          -',
  );
  assert.is(table(['NAME'], [], 'none'), 'none');
});

test('a QR code: its modules, in half blocks', async () => {
  const url = `bunker://${'a'.repeat(64)}?relay=ws%3A%2F%2F127.0.0.1%3A4736&secret=${'b'.repeat(64)}`;
  const { modules } = QRCode.create(url, { errorCorrectionLevel: 'L' });
  const lines = (await qrText(url, false)).split('\n');
  const dark = (row: number, column: number) => {
    const block = lines[Math.floor((row + 4) / 2)]![column + 4];
    return block === '\u2588' || block === ((row + 4) % 2 === 0 ? '\u2580' : '\u2584');
  };
  for (let row = 0; row < modules.size; row++) {
    for (let column = 0; column < modules.size; column++) {
      assert.is(dark(row, column), modules.get(row, column) === 1, `${row} ${column}`);
    }
  }
  const coloured = await qrText(url, true);
  assert.ok(coloured.split('\n').every((line) => line.startsWith('\u001b[30;107m') && line.endsWith('\u001b[0m')));
});

test.run();
