import { parseArgs } from "node:util";
import { number, numbers } from "../arguments.ts";
import { modesTable, recoverModes } from "../kd/modes.ts";

export const usage = "[--separations 8,16,24] [--seeds 1,2,3,4,5] [--steps N] [--output FOLDER]";

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      separations: { type: "string", default: "8,16,24" },
      seeds: { type: "string", default: "1,2,3,4,5" },
      steps: { type: "string", default: "150" },
      output: { type: "string", default: "runs/modes" },
    },
  });
  const result = await recoverModes({
    output: values.output,
    separations: numbers("separations", values.separations),
    seeds: numbers("seeds", values.seeds),
    steps: number("steps", values.steps),
  });
  console.log(modesTable(result));
}
