import { basename, resolve } from "node:path";
import { renderReport } from "@fdiv/report";
import { readRun } from "@fdiv/report/node";
import { writeDurably } from "@fdiv/trainer/node";

/** `fdiv report`: one self-contained page. */
export async function report(
  runs: readonly string[],
  options: { output: string; title?: string; against?: string },
): Promise<void> {
  await writeReport(runs, options);
  process.stderr.write(`report: ${options.output}\n`);
}

/** Reads runs and writes their page. */
export async function writeReport(
  runs: readonly string[],
  options: { output: string; title?: string; against?: string },
): Promise<void> {
  const data = await Promise.all(
    runs.map(async (directory) => {
      const run = await readRun(directory);
      // Two runs of one name are told apart by where they are.
      const isAmbiguous = runs.filter((other) => basename(resolve(other)) === run.name).length > 1;
      return isAmbiguous ? { ...run, name: directory } : run;
    }),
  );
  const { output, ...shown } = options;
  await writeDurably(output, renderReport(data, shown));
}
