/** Writes lines of each kind to standard error: `node write.ts FORMAT LEVEL`. */
import { makeLog } from '../../src/log.ts';
import type { LogLine } from '../../src/policy/protocol.ts';

const [format, level] = process.argv.slice(2) as ['json' | 'pretty' | 'auto', 'info'];
const log = makeLog({ level, format });

function info(message: string, fields: LogLine['fields'] = {}): void {
  log({ level: 'info', message, fields });
}
function error(message: string, cause: unknown): void {
  log({ level: 'error', message, fields: {} }, cause);
}

log({ level: 'debug', message: 'below the level', fields: {} });
info('started', { version: '1.2.3', port: 4736, quickstart: true, nothing: null });
info('given nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5 to open');
info('fields', { passphrase: 'hunter2', apiKey: 'hunter2', clientSecret: 'hunter2', keyName: 'alice', tokenId: 7 });
info('uri', { uri: 'bunker://abc?relay=wss%3A%2F%2Fa&secret=hunter2', again: 'x%26secret%3Dhunter2&y=1' });
info('token npub1mt5v2plsuc0aef0vf4ua9xptcdrczaw3re2mdquen68shhezqx4qc8tws7#hunter2 given');
info('seed', { seed: 'spire-seed:v1:aHVudGVyMg' });
log({ level: 'warn', message: 'client said\n\u001b[2Jnothing', fields: { method: 'a\nb' } });
error('failed', Object.assign(new Error('broke on ?secret=hunter2'), { code: 'EBROKE', secret: 'hunter2' }));
error('failed twice', new Error('outer', { cause: new TypeError('inner') }));
error('not an error', 'hunter2');
process.kill(process.pid, 'SIGKILL');
