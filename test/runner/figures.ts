/** What a test file has measured, one line for the promises that it shows: `R4,R8 {"kills":500}`, or `R4 R8 {...}`. */
export interface Figures {
  /** Ids of promises (test/reliability/promises.ts), or `soak`. */
  ids: string[];
  values: { [name: string]: unknown };
}

/** uvu prints its dots on the same line. */
const LINE = /(?:^|\s)((?:R\d+|soak)(?:[, ](?:R\d+|soak))*) (\{.*\})\s*$/gm;

/** The lines of figures among everything that a file printed, in order. What is no JSON is none of them. */
export function readFigures(output: string): Figures[] {
  return [...output.matchAll(LINE)].flatMap(([, ids, json]) => {
    try {
      return { ids: ids!.split(/[, ]/), values: JSON.parse(json!) as Figures['values'] };
    } catch {
      return [];
    }
  });
}

/** As the file printed it. */
export function lineOf({ ids, values }: Figures): string {
  return `${ids.join(',')} ${JSON.stringify(values)}`;
}
