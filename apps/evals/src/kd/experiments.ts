import type { KdRecipe } from "./kd-recipe.ts";
import type { NewModel } from "./new-model.ts";

/** A comparison of the results page, but for where its data and models are. */
export interface Experiment extends Pick<KdRecipe, "settings" | "losses" | "vary"> {
  /** What becomes the teacher; a pretrained encoder where there is none. */
  family?: NewModel["family"];
}

/** Those of the paper, SinKD last: what the others are held against. */
export const everyLoss = ["ce", "forward-kl", "reverse-kl", "js", "tvd", "sinkhorn"];

/** Sentences of SST-2 with a teacher that is trained on them alone, and a student of a layer of 32. */
const sentences = [
  "task.name=sst2",
  "task.maxLength=40",
  "teacher.fineTune.epochs=4",
  "teacher.fineTune.learningRate=1e-3",
  "student.config={ hiddenSize: 32, layers: 1, heads: 2 }",
  "epochs=2",
  "learningRate=3e-3",
];
const encoder = { family: "bert", settings: [...sentences, "task.limit=3000"] } as const;
/** Of models that write, over the tokens of answers. */
const writing = [...sentences, "task.limit=2000", "vocabulary=answers"];

/** Pairs of sentences with a pretrained teacher, and a student of some of its layers. */
const pairs = (task: string, maxLength: number, layers: number, epochs: number): Experiment => ({
  settings: [
    `task.name=${task}`,
    `task.maxLength=${maxLength}`,
    "teacher.fineTune.epochs=3",
    "teacher.fineTune.learningRate=1e-4",
    `student.layers=${layers}`,
    `epochs=${epochs}`,
    "learningRate=2e-4",
  ],
  losses: everyLoss,
  vary: [],
});

/** SinKD's tables (arXiv 2402.17110) in the small, by name. */
export const experiments: Record<string, Experiment> = {
  encoder: { ...encoder, losses: everyLoss, vary: [] },
  "decoder-only": { family: "llama", settings: writing, losses: everyLoss, vary: [] },
  "encoder-decoder": { family: "t5", settings: writing, losses: everyLoss, vary: [] },
  mrpc: pairs("mrpc", 80, 3, 3),
  rte: pairs("rte", 96, 2, 2),
  ablations: {
    ...encoder,
    // The paper's T for the sample-wise loss too, which is in closed form otherwise.
    settings: [...encoder.settings, "sinkhorn.iterations=20"],
    losses: ["sample-wise", "sinkhorn"],
    vary: [
      { key: "sinkhorn.lambda", values: ["0.02", "0.5"] },
      { key: "sinkhorn.iterations", values: ["5"] },
      { key: "beta", values: ["0.2", "3"] },
      { key: "temperature", values: ["1", "4"] },
    ],
  },
  // At the rate of the others neither learns: small batches leave it, large ones have too few steps.
  "batches-of-8": {
    ...encoder,
    settings: [...encoder.settings, "batchSize=8", "learningRate=1e-3", "epochs=1"],
    losses: ["sinkhorn"],
    vary: [],
  },
  "batches-of-128": {
    ...encoder,
    settings: [...encoder.settings, "batchSize=128", "learningRate=6e-3", "epochs=8"],
    losses: ["sinkhorn"],
    vary: [],
  },
};

export const experimentNames = Object.keys(experiments).join(", ");
