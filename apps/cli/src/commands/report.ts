import { writeFile } from "node:fs/promises";
import { renderReport } from "@fdiv/report";
import { readRun } from "@fdiv/report/node";

/** `fdiv report`: one self-contained page. */
export async function report(
  runs: readonly string[],
  options: { output: string; title?: string },
): Promise<void> {
  const data = await Promise.all(runs.map((directory) => readRun(directory)));
  const page = renderReport(data, options.title === undefined ? {} : { title: options.title });
  await writeFile(options.output, page);
}
