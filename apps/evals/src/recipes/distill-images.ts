import { parseArgs } from "node:util";
import { number, numbers } from "../arguments.ts";
import { digits, fashion, images, variants } from "../distill/images.ts";

export const usage =
  "[--data digits|fashion] [--fashion FOLDER | --images FILE --labels FILE] [--size 14|28] [--net unet|mlp] [--channels 16,32 | --hidden 512] [--variants 'a;b'] [--seeds 1,2,3] [--teacher-steps N] [--steps N] [--output FOLDER]";

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: "string", default: "digits" },
      fashion: { type: "string" },
      images: { type: "string" },
      labels: { type: "string" },
      size: { type: "string", default: "14" },
      net: { type: "string", default: "unet" },
      channels: { type: "string", default: "16,32" },
      hidden: { type: "string", default: "512" },
      variants: { type: "string", default: Object.keys(variants).join(";") },
      seeds: { type: "string", default: "1,2,3" },
      limit: { type: "string" },
      "teacher-steps": { type: "string", default: "6000" },
      steps: { type: "string", default: "8000" },
      "batch-size": { type: "string", default: "64" },
      samples: { type: "string", default: "2000" },
      output: { type: "string", default: "runs/distill-images" },
    },
  });
  const known = { digits, fashion: () => fashion(values.fashion) };
  if (values.images === undefined && !Object.hasOwn(known, values.data))
    throw new Error(`--data ${values.data}: there are digits and fashion, or --images and --labels.`);
  if (values.net !== "unet" && values.net !== "mlp")
    throw new Error(`--net ${values.net}: there are unet and mlp.`);
  if ((values.images === undefined) !== (values.labels === undefined))
    throw new Error("--images and --labels go together.");
  const files =
    values.images !== undefined
      ? { images: values.images, labels: values.labels! }
      : known[values.data as keyof typeof known]();
  console.log(
    await images({
      name: `${values.data}-${values.size}`,
      files,
      size: number("size", values.size),
      net:
        values.net === "mlp"
          ? { kind: "mlp", hidden: number("hidden", values.hidden) }
          : { kind: "unet", blockChannels: numbers("channels", values.channels) },
      teacherSteps: number("teacher-steps", values["teacher-steps"]),
      steps: number("steps", values.steps),
      batchSize: number("batch-size", values["batch-size"]),
      samples: number("samples", values.samples),
      seeds: numbers("seeds", values.seeds),
      // Names of variants have commas in them.
      variants: values.variants.split(";").filter(Boolean),
      ...(values.limit !== undefined && { limit: number("limit", values.limit) }),
      output: values.output,
    }),
  );
}
