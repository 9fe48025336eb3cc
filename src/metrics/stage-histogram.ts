import type { Metric } from 'prom-client';
import { BOUNDS_MS, type StageTimes } from './stage-times.ts';

const NAME = 'redoubt_request_seconds';

/** The times of all threads as a histogram of prom-client, which can only count what it is told one by one. */
export function stageHistogram(times: StageTimes): Metric {
  const get = async () => ({
    name: NAME,
    help: 'Time of requests by stage; total is from the arrival of a request to its response',
    type: 'histogram',
    aggregator: 'sum',
    values: times.read().flatMap(({ stage, counts, sum }) => {
      let seen = 0;
      const buckets = counts.map((count, i) => {
        seen += count;
        const bound = BOUNDS_MS[i];
        const le = bound === undefined ? '+Inf' : String(bound / 1000);
        return { metricName: `${NAME}_bucket`, labels: { le, stage }, value: seen };
      });
      return [
        ...buckets,
        { metricName: `${NAME}_sum`, labels: { stage }, value: sum / 1000 },
        { metricName: `${NAME}_count`, labels: { stage }, value: seen },
      ];
    }),
  });
  return { name: NAME, get, reset: () => times.clear() } as unknown as Metric;
}
