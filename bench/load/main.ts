/**
 * The load generator, a process of its own. Requests are made and signed before the clock starts, answers are
 * decrypted and verified after it has stopped; the signer's CPU time is read right before the first request leaves and
 * right after the last answer came.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import { Client } from './client.ts';
import { cpuOf } from './cpu.ts';
import type { FromLoad, Measured, Order, ToLoad } from './protocol.ts';

/** An answer that takes longer than this does not come any more. */
const SILENCE_MS = 20_000;

let clients: Client[] = [];
let signerPid = 0;

process.on('message', (message: ToLoad) => {
  const work = 'open' in message ? open(message.open) : run(message.run);
  work.then(say, (error: Error) => say({ failed: error.message }));
});
process.on('disconnect', () => process.exit());

async function open(target: Extract<ToLoad, { open: unknown }>['open']): Promise<FromLoad> {
  signerPid = target.signerPid;
  clients = target.clients.map((client) => new Client(client));
  await Promise.all(clients.map((client) => client.open(target.relay)));
  return { opened: true };
}

async function run({ requests, inFlight, check, echo = false }: Order): Promise<FromLoad> {
  for (const [i, client] of clients.entries()) {
    client.prepare(Math.floor((requests + i) / clients.length), echo);
    // A relay puts out who does not answer its pings.
    await breathe();
  }
  const cpuBefore = cpuOf(signerPid);
  const before = performance.now();
  await orSilence(Promise.all(clients.map((client) => client.run(inFlight))));
  const wall = performance.now() - before;
  const cpu = cpuOf(signerPid) - cpuBefore;
  const latencies = (await latenciesOf(check, echo)).sort((a, b) => a - b);
  const at = (part: number) => latencies[Math.ceil(latencies.length * part) - 1]!;
  const latency: Measured['latency'] = { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
  return { measured: { requests, wall, cpu, latency } };
}

async function latenciesOf(check: boolean, echo: boolean): Promise<number[]> {
  if (!check && !echo) return [Number.NaN];
  const latencies: number[] = [];
  for (const client of clients) {
    for (const latency of echo ? client.roundTrips() : client.check()) latencies.push(latency);
    await breathe();
  }
  return latencies;
}

async function orSilence<T>(work: Promise<T>): Promise<T> {
  const silence = Promise.withResolvers<never>();
  let [last, since] = [-1, performance.now()];
  const watch = setInterval(() => {
    const arrived = clients.reduce((sum, client) => sum + client.arrived, 0);
    if (arrived !== last) [last, since] = [arrived, performance.now()];
    else if (performance.now() - since > SILENCE_MS) {
      silence.reject(new Error(`after ${arrived} answers none came for ${SILENCE_MS / 1000} s`));
    }
  }, 1000);
  try {
    return await Promise.race([work, silence.promise]);
  } finally {
    clearInterval(watch);
  }
}

function say(message: FromLoad): void {
  process.send!(message);
}
