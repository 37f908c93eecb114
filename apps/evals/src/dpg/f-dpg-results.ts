import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Size } from "../base-model.ts";
import { divergenceFindings, efficiencyFindings } from "../dpo/findings.ts";
import type { Method } from "../dpo/method.ts";
import { methodsPage, methodsTable, rewardsAt } from "../dpo/methods-report.ts";
import { preferenceMethods } from "../dpo/preference-methods.ts";
import { markdownTable } from "../figures.ts";
import { findingsTable } from "../findings.ts";
import { order, targetFindings } from "./findings.ts";
import { taskNames, taskOf } from "./target-tasks.ts";
import { approachTargets, type TargetsRow } from "./targets.ts";
import { targetsPage, targetsTable } from "./targets-report.ts";

const divergences = ["forward-kl", "reverse-kl", "jensen-shannon", "total-variation", "alpha:0.5"];

export interface FDpgSettings {
  material: string;
  output: string;
  size: Size;
  sizes: readonly Size[];
  seeds: readonly number[];
  steps: number;
  learningRate: number;
  samplesPerStep: number;
  evaluationSamples: number;
}

/** One sweep of targets with its page written, and its part of the results. Sweeps of one task share their folder, and so the runs that both have. */
async function targetsPart(
  title: string,
  name: string,
  part: { sizes: readonly Size[]; baselines: readonly string[]; divergences: readonly string[] },
  settings: FDpgSettings,
  page: string,
): Promise<{ rows: TargetsRow[]; text: string }> {
  const { sizes, ...rest } = part;
  const output = join(settings.output, `targets-${name}`);
  const options = {
    ...settings,
    ...rest,
    name: page,
    task: taskOf(name, "wordnet"),
    bases: { sizes },
    output,
  };
  const rows = await approachTargets(options);
  await writeFile(
    join(output, `${page}.html`),
    targetsPage(`f-DPG: ${title}`, `${settings.steps} steps`, rows),
  );
  return { rows, text: `## ${title}\n\n${targetsTable(rows)}\n` };
}

const headOf = (settings: FDpgSettings): string =>
  `# f-DPG, and f-DPO against PPO, in the small

Means over seeds ${settings.seeds.join(", ")} ± half of the 95 % interval (Student). Base model ${settings.size} (hidden × layers) unless said; ${settings.steps} steps of ${settings.samplesPerStep} texts, learning rate
${settings.learningRate}, cosine; ${settings.evaluationSamples} texts of the policy and as many of its base judged. A claim reproduces when the interval of the difference, seed by seed, lies above 0.
`;

async function methodsPart(settings: FDpgSettings): Promise<string> {
  const output = join(settings.output, "ppo");
  const byPairs = ["reverse-kl", "jensen-shannon", "alpha:0.5", "forward-kl"];
  const byReward: Method[] = [
    { method: "PPO", place: "reward", divergence: "reverse-kl" },
    { method: "PPO", place: "loss", divergence: "reverse-kl" },
    { method: "PPO", place: "reward", divergence: "jensen-shannon" },
  ];
  const betas = [0.1, 0.3, 1];
  const { rows, reference } = await preferenceMethods({
    ...settings,
    output,
    methods: [...byPairs.map((divergence): Method => ({ method: "f-DPO", divergence })), ...byReward],
    betas,
    coefficients: [0.3, 1, 3],
    dpo: { epochs: 2, learningRate: 5e-4 },
    ppo: { steps: settings.steps, learningRate: 1e-3 },
  });
  await writeFile(join(output, "methods.html"), methodsPage(`Base model ${settings.size}.`, rows, reference));
  const findings = [
    ...divergenceFindings(
      rows.filter(({ method }) => method === "f-DPO"),
      betas[0]!,
    ),
    ...[0.5, 1].flatMap((kl) =>
      efficiencyFindings(rows, (name, at) => rewardsAt(rows, reference, name, at), kl),
    ),
  ];
  return `## f-DPO against PPO\n\n${methodsTable(rows, reference)}\n\nAt β ${betas[0]}, and at the same KL(π‖ref):\n\n${findingsTable(findings)}\n`;
}

/** Every task and ablation, f-DPO against PPO, and which of the papers' findings reproduce, as one Markdown page, written to `file` part by part. */
export async function fDpgResults(settings: FDpgSettings, file: string): Promise<string> {
  const parts = [headOf(settings)];

  // After every part, so that what is there can be read while the rest is made.
  const add = async (text: string): Promise<void> => {
    parts.push(text);
    await writeFile(file, parts.join("\n"));
  };
  const plain = { sizes: [settings.size], baselines: ["leave-one-out"], divergences };
  for (const name of taskNames) {
    const { rows, text } = await targetsPart(`task: ${name}`, name, plain, settings, name);
    const [alignment] = taskOf(name, "wordnet").alignment;
    await add(`${text}\n${findingsTable(targetFindings(rows, settings.size, alignment!.feature))}\n`);
  }
  const sizes = { ...plain, sizes: settings.sizes };
  const grown = await targetsPart(
    "ablation: model size (preference)",
    "preference",
    sizes,
    settings,
    "sizes",
  );
  const orders = settings.sizes.map((size) => [size, order(grown.rows, size).join(" < ")]);
  await add(
    `${grown.text}\nFrom the nearest to the target on, by JS:\n\n${markdownTable(["size", "order"], orders)}\n`,
  );
  const baselines = {
    ...plain,
    baselines: ["none", "running-mean", "leave-one-out"],
    divergences: ["forward-kl", "reverse-kl", "jensen-shannon"],
  };
  await add(
    (await targetsPart("ablation: baseline (preference)", "preference", baselines, settings, "baselines"))
      .text,
  );
  await add(await methodsPart(settings));
  return parts.join("\n");
}
