import { parseArgs } from "node:util";
import { list, numbers } from "../arguments.ts";
import { distilVariants } from "../kd/kd-recipe.ts";
import { kdTable } from "../kd/kd-table.ts";

export const usage =
  "--set key=value… [--losses ce,forward-kl,reverse-kl,js,tvd,sinkhorn] [--vary sinkhorn.lambda=0.02,0.5]… [--seeds 1,2,3] [--output FOLDER]";

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      set: { type: "string", multiple: true, default: [] },
      losses: { type: "string", default: "ce,forward-kl,reverse-kl,js,tvd,sinkhorn" },
      vary: { type: "string", multiple: true, default: [] },
      seeds: { type: "string", default: "1,2,3" },
      output: { type: "string", default: "runs/kd" },
    },
  });
  const summary = await distilVariants({
    output: values.output,
    settings: values.set,
    losses: list(values.losses),
    vary: values.vary.map((text) => {
      const cut = text.indexOf("=");
      if (cut < 1) throw new Error(`--vary ${text}: write it as key=value,value.`);
      return { key: text.slice(0, cut), values: list(text.slice(cut + 1)) };
    }),
    seeds: numbers("seeds", values.seeds),
  });
  console.log(kdTable(summary));
}
