import { type IncomingHttpHeaders, request } from 'node:http';

export interface Got {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** One GET on a connection of its own, with exactly these headers. */
export function get(url: string, headers: { [name: string]: string } = {}, method = 'GET'): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    sent.on('error', reject);
    sent.end();
  });
}
