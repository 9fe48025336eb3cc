import * as assert from 'uvu/assert';
import type { Stage } from './stage.ts';

/** Asking the admin actor on a stage that each test has anew. */
export function asking(stage: () => Stage) {
  return {
    /** The result of a request that must succeed, read as JSON. */
    async result(method: string, ...params: unknown[]): Promise<unknown> {
      const answer = await stage().ask(method, params);
      assert.is(answer.error, undefined, answer.error ?? '');
      return JSON.parse(answer.result);
    },
    /** The error of a request that must fail, told as its kind of method tells one. */
    async error(method: string, ...params: unknown[]): Promise<string> {
      const answer = await stage().ask(method, params);
      assert.ok(answer.error !== undefined, answer.result);
      assert.is(answer.result, method.startsWith('get_') ? JSON.stringify(['error', answer.error]) : 'error');
      return answer.error;
    },
  };
}
