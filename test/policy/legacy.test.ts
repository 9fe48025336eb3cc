import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { legacy } from '../store/folder.ts';
import { Rig, said } from './rig.ts';

/** An installation of nsecbunkerd 0.10.5, adopted, with its clients by description. */
async function adopted(): Promise<{ rig: Rig; may: (description: string, kind: number) => Promise<string> }> {
  const path = legacy('legacy-0.10.5');
  const rig = new Rig();
  assert.ok((await rig.start({ databasePath: path, keysInKeystore: 5, kindsNotInAll: [] })).ok);
  const keys = await rig.admin.ask('listKeys', null);
  assert.is(keys.length, 4);
  const users = new Map<string, { client: string; keyName: string }>();
  for (const keyName of [...keys.map(({ name }) => name), 'lnbits-acct-2']) {
    for (const token of await rig.admin.ask('listTokens', { keyName })) {
      if (token.redeemedBy !== null) users.set(token.clientName, { client: token.redeemedBy, keyName });
    }
  }
  const may = (name: string, kind: number) => {
    const { client, keyName } = users.get(name)!;
    return rig.decide({ client, kind }, keyName).then(said);
  };
  return { rig, may };
}

test('the clients of an adopted installation may do what they could, and no more', async () => {
  const { rig, may } = await adopted();
  assert.is(await may('LNbits account 1', 1), 'ok');
  assert.is(await may('LNbits account 1', 21000), 'ok');
  // Its key has no row.
  assert.is(await may('LNbits account 2', 1), 'ok');
  assert.is(await may('spire 7f3c9a', 21000), 'ok');
  assert.is(await may('spire 7f3c9a', 1), 'not authorized');
  // Its token has expired; a condition that nsecbunkerd copied from the policy still allows it.
  assert.is(await may('old board', 21000), 'ok');
  assert.is(await may('stolen', 21000), 'revoked');
  for (const expected of ['ok', 'ok', 'ok', 'usage limit reached']) assert.is(await may('three notes', 1), expected);
  assert.is(await may('policy expired', 1), 'policy expired');
  await rig.end();
});

test("nsecbunkerd's unredeemed token is redeemed by its own key only", async () => {
  const { rig } = await adopted();
  const [open] = (await rig.admin.ask('listTokens', { keyName: 'spire-7f3c9a' })).filter(
    (token) => token.redeemedAt === null,
  );
  assert.is(said(await rig.connect(open!.secret, {}, 'lnbits-acct-1')), 'token not found');
  assert.is(said(await rig.connect(open!.secret, {}, 'spire-7f3c9a')), 'ok');
  assert.is(said(await rig.decide({ kind: 21000 }, 'spire-7f3c9a')), 'ok');
  await rig.end();
});

test.run();
