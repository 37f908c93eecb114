import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openSession } from "@fdiv/cli";
import { averages, type DistillSweepRun, distillSweep, sweepTable } from "./distill-sweep.ts";
import { gradientVarianceTable } from "./gradient-variance.ts";

export interface MixturesOptions {
  settings: readonly string[];
  divergences: readonly string[];
  ratios: readonly string[];
  seeds: readonly number[];
  steps: number;
  output: string;
}

const sides: Record<string, { mixture: object; deviation: number; sigmaMax: number }> = {
  "three modes": {
    mixture: {
      components: [
        { weight: 0.2, mean: [-2], covariance: 0.04 },
        { weight: 0.5, mean: [0], covariance: 0.04 },
        { weight: 0.3, mean: [2], covariance: 0.04 },
      ],
    },
    deviation: 0.2,
    sigmaMax: 8,
  },
  ring: { mixture: { ring: { modes: 8, radius: 1, deviation: 0.1 } }, deviation: 0.1, sigmaMax: 5 },
};
export const mixtureSettings = Object.keys(sides);

/** A setting's configuration but for the divergence, the ratio, the seed and where the start comes from. */
function settingOf(name: string, steps: number, isFirst: boolean): object {
  const { mixture, deviation, sigmaMax } = sides[name]!;
  const noise = { kind: "log-uniform", min: deviation / 2, max: sigmaMax };
  const optimizer = (learningRate: number) => ({ learningRate, schedule: "linear" });
  return {
    data: { mixture },
    noise,
    fakeNoise: noise,
    sigmaMax,
    steps,
    batchSize: 128,
    schedule: { generatorEvery: 3, criticMeanwhile: "train" },
    optimizers: { generator: optimizer(1e-3), fake: optimizer(2e-3), discriminator: optimizer(2e-3) },
    checkpointEvery: 1_000_000,
    evaluation: { samples: 1000, teacherSteps: isFirst ? [18] : [], sigma: deviation / 2 },
  };
}

const teacherOf = (name: string) => {
  const { deviation, sigmaMax } = sides[name]!;
  return {
    exact: true,
    train: {
      net: { hidden: 64, layers: 2 },
      steps: 600,
      batchSize: 128,
      noise: { kind: "log-uniform", min: deviation / 2, max: sigmaMax },
    },
  };
};

/**
 * The paper's first experiment (arXiv 2502.15681, section 5.1) where everything is known: exact teachers of one and two dimensions, each divergence, the ratio from densities (the generator's by fresh samples with noise) or learned;
 * mode coverage, exact divergences, mass off the modes, and the variance of weights and gradients. Runs that are there already are not repeated.
 */
export async function mixtures(options: MixturesOptions): Promise<string> {
  const { settings, divergences, ratios, seeds, steps, output } = options;
  const session = await openSession({ quiet: true });
  const parts: string[] = [];
  try {
    for (const setting of settings) {
      const slug = setting.replace(" ", "-");
      const starts = new Map<number, string>();
      const runs: DistillSweepRun[] = [];
      for (const seed of seeds) {
        // The first run of a seed trains the net that the others of the seed start from.
        for (const divergence of divergences)
          for (const ratio of ratios) {
            const name = `${slug}-${divergence.replace(":", "-")}-${ratio}-seed${seed}`;
            const start = starts.get(seed);
            const model = start && join(output, start, "teacher", "model");
            runs.push({
              name,
              row: `${divergence}, ${ratio === "samples" ? "ratio of densities" : "learned ratio"}`,
              config: {
                ...settingOf(setting, steps, start === undefined),
                teacher: model ? { exact: true, model } : teacherOf(setting),
                divergence,
                ratio: {
                  source: ratio,
                  ...(ratio === "discriminator" && { normaliser: { scale: "log" } }),
                },
                // What is compared is distribution matching alone.
                ...(ratio === "discriminator" && { adversarialWeight: 0 }),
                seed,
              },
            });
            if (!start) starts.set(seed, name);
          }
      }
      const results = await distillSweep(runs, output, session);
      const rows = [
        ...averages(results),
        ...averages(results, "teacher, 18 Heun steps")
          .slice(0, 1)
          .map((row) => ({ ...row, row: "teacher, 18 Heun steps" })),
        ...averages(results, "real")
          .slice(0, 1)
          .map((row) => ({ ...row, row: "as many draws of the mixture" })),
      ];
      const sigma = Object.keys(rows[0]!.figures).filter((figure) => / at σ /.test(figure));
      const columns = [
        "modes covered",
        "mode KL",
        "off the modes",
        ...sigma,
        "weightVariance",
        "effectiveSamples",
      ];
      parts.push(`### ${setting}\n\n${sweepTable(rows, columns)}`);
    }
  } finally {
    session.close();
  }
  parts.push(`### Variance of the gradient\n\n${gradientVarianceTable(divergences)}`);
  const text = `${parts.join("\n\n")}\n`;
  await writeFile(join(output, "mixtures.md"), text);
  return text;
}
