// Ends with 0 while GET /api/health says 200, else with 1 and the reasons. The address is
// REDOUBT_HTTP_LISTEN's, or the default: an http.listen in nsecbunker.json alone is not known here.
const [, host, port] = /^(.*):(\d+)$/.exec(process.env.REDOUBT_HTTP_LISTEN || '127.0.0.1:4737') ?? [];
const asked = host === '0.0.0.0' ? '127.0.0.1' : host === '[::]' ? '[::1]' : host;
try {
  const response = await fetch(`http://${asked}:${port}/api/health`, { signal: AbortSignal.timeout(5_000) });
  if (response.status !== 200) throw new Error((await response.json()).reasons.join('; '));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
