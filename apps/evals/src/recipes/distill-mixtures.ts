import { parseArgs } from "node:util";
import { list, number, numbers } from "../arguments.ts";
import { mixtureSettings, mixtures } from "../distill/mixtures.ts";

export const usage =
  "[--settings 'three modes,ring'] [--divergences a,b] [--ratios samples,discriminator] [--seeds 1,2,3] [--steps N] [--output FOLDER]";

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      settings: { type: "string", default: mixtureSettings.join(",") },
      divergences: {
        type: "string",
        default: "reverse-kl,forward-kl,jensen-shannon,squared-hellinger,jeffreys,softened-reverse-kl",
      },
      ratios: { type: "string", default: "samples,discriminator" },
      seeds: { type: "string", default: "1,2,3" },
      steps: { type: "string", default: "900" },
      output: { type: "string", default: "runs/distill-mixtures" },
    },
  });
  const settings = list(values.settings);
  const unknown = settings.find((setting) => !mixtureSettings.includes(setting));
  if (unknown) throw new Error(`--settings ${unknown}: there are ${mixtureSettings.join(", ")}.`);
  console.log(
    await mixtures({
      settings,
      divergences: list(values.divergences),
      ratios: list(values.ratios),
      seeds: numbers("seeds", values.seeds),
      steps: number("steps", values.steps),
      output: values.output,
    }),
  );
}
