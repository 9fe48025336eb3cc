/** Who gives up a thread for whom. The keys are doubles: real ones are never busy for as long as a test wants. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Occupant, Places } from '../../src/key/places.ts';

class Key implements Occupant {
  isActive = false;
  lastUsed: number;
  activeSince: number;
  isBusy = false;
  places!: Places;
  isWaiting = false;
  yields = 0;

  get isIdle(): boolean {
    return !this.isBusy;
  }

  constructor(lastUsed: number, activeSince: number) {
    this.lastUsed = lastUsed;
    this.activeSince = activeSince;
  }

  async activate(): Promise<void> {
    await this.places.take();
    this.isActive = true;
  }

  async passivate(): Promise<boolean> {
    if (this.isBusy || !this.isActive) return false;
    this.isActive = false;
    this.places.free();
    return true;
  }

  leavePlace(): void {
    this.isActive = false;
    this.places.free();
  }

  yield(): void {
    this.yields++;
    this.isBusy = false;
    void this.passivate();
  }
}

async function occupied(...keys: Key[]): Promise<Places> {
  const all = [...keys];
  const places = new Places(keys.length, () => all);
  for (const key of keys) {
    key.places = places;
    await key.activate();
  }
  return places;
}

test('the idle key that was used least recently makes room', async () => {
  const [old, older, busy] = [new Key(20, 1), new Key(10, 2), new Key(5, 3)];
  busy.isBusy = true;
  const places = await occupied(old, older, busy);
  await places.take();
  assert.equal([old.isActive, older.isActive, busy.isActive], [true, false, true]);
  places.close();
});

test('where all are busy, who waits is served when one becomes idle', async () => {
  const [one, other] = [new Key(1, 1), new Key(2, 2)];
  one.isBusy = other.isBusy = true;
  const places = await occupied(one, other);
  const taken = places.take();
  other.isBusy = false;
  places.makeRoom();
  await taken;
  assert.equal([one.isActive, other.isActive], [true, false]);
  places.close();
});

test('a key that only waits for an admin gives its place up when another wants it, and not before', async () => {
  const [waits, busy] = [new Key(1, 1), new Key(2, 2)];
  waits.isBusy = busy.isBusy = waits.isWaiting = true;
  const places = await occupied(waits, busy);
  places.makeRoom();
  assert.ok(waits.isActive);
  await places.take();
  assert.equal([waits.isActive, busy.isActive], [false, true]);
  places.close();
});

test('where all stay busy, the one that has had its thread longest has to yield', async () => {
  const [later, first] = [new Key(1, 20), new Key(2, 10)];
  later.isBusy = first.isBusy = true;
  const places = await occupied(later, first);
  // The places' own timer keeps no process alive.
  const awake = setInterval(() => {}, 1000);
  await places.take();
  clearInterval(awake);
  assert.equal([later.yields, first.yields], [0, 1]);
  assert.is(first.isActive, false);
  places.close();
});

test('a thread that ends goes to who waits longest', async () => {
  const key = new Key(1, 1);
  key.isBusy = true;
  const places = await occupied(key);
  const order: string[] = [];
  const waiting = [places.take().then(() => order.push('first')), places.take().then(() => order.push('second'))];
  places.free();
  places.free();
  await Promise.all(waiting);
  assert.equal(order, ['first', 'second']);
  places.close();
});

test.run();
