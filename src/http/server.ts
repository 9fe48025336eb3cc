import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ListenAddress } from '../config/values.ts';
import type { Metrics, Observed } from '../metrics.ts';
import type { Outcome } from '../policy/protocol.ts';
import { Guard, type GuardRefusal, type Visitor } from './guard.ts';
import { type Findings, HealthCheck } from './health.ts';

export interface HttpOptions {
  /** Port 0: any free one. */
  listen: ListenAddress;
  hosts: readonly string[];
  apiKey: string | null;
  daemon: Observed & { health(): Promise<Findings> };
  metrics: Metrics;
}

export interface HttpServer {
  /** `http://127.0.0.1:4737`, with the port that was found. */
  url: string;
  close(): Promise<void>;
}

const REQUEST_MS = 10_000;
/** A few observers, and not what descriptors the process has left. */
const CONNECTIONS = 64;

/** Serves `GET /api/health` and `GET /metrics`. Refused with one line when it cannot listen. */
export async function startHttp({ listen, hosts, apiKey, daemon, metrics }: HttpOptions): Promise<Outcome<HttpServer>> {
  const { default: fastify } = await import('fastify');
  const server = fastify({
    bodyLimit: 1024,
    requestTimeout: REQUEST_MS,
    connectionTimeout: REQUEST_MS,
    forceCloseConnections: true,
    http: { maxHeaderSize: 8 * 1024 },
    frameworkErrors: unreadable,
    schemaController: { compilersFactory: { buildValidator: noSchema, buildSerializer: noSchema } },
  });
  server.server.maxConnections = CONNECTIONS;
  const guard = new Guard({ listenHost: listen.host, hosts, apiKey });
  const health = new HealthCheck(() => daemon.health());
  metrics.observe(daemon);

  server.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    const refused = guard.host(visitor(request));
    if (refused !== null) return refuse(reply, refused);
  });
  server.get('/api/health', async (_, reply) => {
    const current = await health.current();
    if (typeof current === 'string') return reply.code(503).send({ status: 'degraded', reasons: [current] });
    return reply.code(current.status === 'ok' ? 200 : 503).send(current);
  });
  server.get('/metrics', async (request, reply) => {
    const refused = guard.metrics(visitor(request));
    if (refused !== null) return refuse(reply, refused);
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  server.setNotFoundHandler((_, reply) =>
    reply.code(404).send({ error: 'there are GET /api/health and GET /metrics' }),
  );
  server.setErrorHandler(unreadable);

  const close = async () => {
    health.close();
    await server.close();
  };
  try {
    // A copy: the library writes into what it is given.
    await server.listen({ ...listen });
  } catch (error) {
    await close();
    return { ok: false, refusal: whyNot(listen, (error as NodeJS.ErrnoException).code) };
  }
  const { port } = server.server.address() as { port: number };
  return { ok: true, value: { url: `http://${bracketed(listen.host)}:${port}`, close } };
}

/** No route has a schema: without this the library loads two compilers for them. */
function noSchema(): never {
  throw new Error('no route has a schema');
}

/** Messages of the library may quote what was sent. */
function unreadable(failure: unknown, _: FastifyRequest, reply: FastifyReply): void {
  const status = (failure as { statusCode?: number }).statusCode ?? 500;
  void reply.code(status).send({ error: status < 500 ? 'this request cannot be read' : 'this request failed' });
}

function visitor(request: FastifyRequest): Visitor {
  const { remoteAddress = '', localAddress = '' } = request.raw.socket;
  return { headers: request.headers, peer: remoteAddress, arrivedAt: localAddress };
}

function refuse(reply: FastifyReply, { status, error }: GuardRefusal): FastifyReply {
  return reply.code(status).send({ error });
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function whyNot({ host, port }: ListenAddress, code = 'unknown error'): string {
  const where = `health and metrics cannot listen on ${bracketed(host)}:${port} (${code})`;
  return `${where}: choose another address with http.listen (REDOUBT_HTTP_LISTEN), or set http.enabled to false`;
}
