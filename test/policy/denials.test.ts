/** What the log says of denials that come again and again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import type { LogLine } from '../../src/policy/protocol.ts';
import { openEngine } from '../property/open-engine.ts';

const folder = mkdtempSync(join(tmpdir(), 'redoubt-denials-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

test('repeated denials are counted in the log though no other comes, each minute and at the end', async () => {
  const lines: LogLine[] = [];
  const engine = await openEngine(join(folder, 'nsecbunker.db'), systemClock, {}, (line) => lines.push(line));
  const told = () => lines.splice(0).map(({ message, fields }) => [message, fields.times]);
  const denial = { keyName: 'key', client: 'c', method: 'sign_event', rule: 'no-rule', refusal: 'not authorized' };
  const deny = (times: number) => {
    for (let i = 0; i < times; i++) engine.desk.denials.note(denial as never);
  };
  deny(6);
  assert.equal(told(), [['denied', undefined]]);
  engine.minute();
  assert.equal(told(), [['denied again', 5]]);
  engine.minute();
  assert.equal(told(), [], 'once');
  deny(3);
  await engine.close();
  assert.equal(told(), [
    ['denied', undefined],
    ['denied again', 2],
  ]);
});

test.run();
