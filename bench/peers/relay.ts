/** The embedded relay in a process of its own, so that its CPU time is nobody's whose time is measured. */
import { systemClock } from '../../src/actor/clock.ts';
import { EmbeddedRelay } from '../../src/relay/embedded.ts';

const relay = new EmbeddedRelay({
  port: 0,
  clock: systemClock,
  random: Math.random,
  isOurs: () => false,
  // Whoever is behind it verifies what it gets; here it would only take time from those who are measured.
  verify: async () => true,
  software: { name: 'bench', version: '0' },
  // Nor is a backend put out that answers no ping while it works through its queue.
  limits: { framesPerSecond: 1_000_000, frameBurst: 1_000_000, verifying: 1_000_000, pingMs: 3_600_000 },
});
const { url } = await relay.start();
process.send!(url);
process.on('disconnect', () => process.exit());
