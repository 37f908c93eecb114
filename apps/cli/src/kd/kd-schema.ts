import { z } from "zod";
import { count, data, fraction, loraWithDropout, optimizer, run, storage } from "../config/schemas.ts";
import { kdDefaults, refusedKeys, type sinkhornDefaults, sinkhornDefaultsOf } from "./ignored-keys.ts";
import { task } from "./task-schema.ts";

const modelPath = z.string().describe("A folder, a GGUF or llama2.c file, or hf:owner/name@revision.");
const tokenizer = z.string().optional().describe("Tokenizer of a llama2.c model.");

const dropout = z.number().min(0).lt(1).optional();

const teacher = z
  .strictObject({
    model: modelPath,
    tokenizer,
    fineTune: z
      .strictObject({
        epochs: z.number().positive().default(3),
        learningRate: z.number().positive().default(5e-5),
        batchSize: count.default(32),
        seed: z.int().min(0).default(0),
        lora: loraWithDropout.optional(),
        dropout: dropout.describe("As dropout, of the teacher's own training."),
        output: z.string().optional().describe("Its run directory; `teacher` in this one when absent."),
      })
      .optional()
      .describe("Train the teacher on the task first; one that is there already is taken."),
    cache: z
      .strictObject({
        folder: z.string().optional().describe("A per-user folder when absent."),
        topK: count
          .optional()
          .describe("Keep the k likeliest tokens and the others' mass; all logits when absent."),
      })
      .optional()
      .describe("Keep the teacher's outputs on disk, so that it runs once for all students and losses."),
  })
  .describe("Without a teacher the student is fine-tuned alone (loss: ce).");

const student = z
  .strictObject({
    model: modelPath.optional(),
    tokenizer,
    layers: z
      .union([count, z.array(z.int().min(0)).min(1)])
      .optional()
      .describe("Layers taken from the teacher as it was loaded: how many, evenly spaced, or which."),
    config: z
      .record(z.string(), z.unknown())
      .optional()
      .describe(
        "Sizes of a new model with the teacher's tokenizer: { hiddenSize: 64, layers: 2, heads: 4 }.",
      ),
    lora: loraWithDropout.optional(),
  })
  .refine(
    ({ config, lora }) => config === undefined || lora === undefined,
    "lora: a new model of random weights can't be adapted; train it whole.",
  )
  .refine(
    ({ model, layers, config }) => [model, layers, config].filter((one) => one !== undefined).length === 1,
    "one of model, layers, config is due.",
  );

// What has a default of its own is filled in by `settled`, so that it can be told from what is written.
const sinkhornKeys = z.strictObject({
  lambda: z.number().positive().optional().describe("λ, the entropy's weight; 0.1 when absent."),
  iterations: count
    .optional()
    .describe("T; 20 when absent, but of sample-wise what the iterations come to, in closed form."),
  tolerance: z
    .number()
    .positive()
    .optional()
    .describe("Iterate until the rows' error is this, in place of T times."),
  formulation: z
    .enum(["batch", "sequence", "answer"])
    .optional()
    .describe(
      "Of the sinkhorn loss, what is transported: all points of a batch (examples, or tokens that answer; the default); each sequence's " +
        "tokens among themselves; all answer tokens over the token ids that answers are made of.",
    ),
  cost: z
    .enum(["l1", "squaredEuclidean", "cosine"])
    .optional()
    .describe("Of the sinkhorn loss, how far two points are apart; l1 when absent."),
  debiased: z
    .boolean()
    .optional()
    .describe("Of the sinkhorn loss: 0 where student and teacher are the same; false when absent."),
  gradient: z
    .enum(["unrolled", "implicit"])
    .optional()
    .describe("Through the iterations or of their fixed point; unrolled when absent."),
});

/** A configuration as it is written. */
export const kdKeys = z
  .strictObject({
    $schema: z.string().optional(),
    task: task.optional(),
    data: data.optional().describe("Texts in place of a task: every token is learnt from the teacher."),
    teacher: teacher.optional(),
    student,
    loss: z
      .union([z.string(), z.record(z.string(), z.number().positive())])
      .default("sinkhorn")
      .describe(
        "sinkhorn: (1 − α)·CE + α·KL + β·L_SD, the paper's; sample-wise: the same with transport between classes; ce; uld and multi-level, " +
          "for other vocabularies: CE + β·distance; mse: (1 − α)·CE + α·MSE of logits; any divergence (forward-kl, reverse-kl, js, tvd, gjs:0.5, " +
          "gjs-scaled:0.1, skew-kl:0.1, skew-reverse-kl:0.1): (1 − α)·CE + α·D. Or weights of your own: { ce: 0.2, tvd: 1, sinkhorn: 0.5 }.",
      ),
    alpha: fraction
      .optional()
      .describe("α, the divergence's weight, 0.9 when absent; cross-entropy has 1 − α."),
    beta: z
      .number()
      .min(0)
      .optional()
      .describe("β, the weight of a Sinkhorn, uld or multi-level loss; 0.8 when absent."),
    temperature: z.number().positive().optional().describe("τ of teacher and student; 2 when absent."),
    temperatureSquared: z
      .boolean()
      .optional()
      .describe("τ² on divergences, so that gradients keep their size; true when absent."),
    vocabulary: z
      .enum(["all", "answers"])
      .default("all")
      .describe(
        "What teacher and student are compared over by every loss but ce: all tokens, or those alone that the task's answers are made of, " +
          "so that what a softened teacher says of other tokens does not count.",
      ),
    level: z
      .enum(["token", "sequence"])
      .default("token")
      .describe("Means over tokens, or sums over each sequence's tokens and means over sequences."),
    sinkhorn: sinkhornKeys
      .prefault({})
      .describe("Of the sinkhorn, sample-wise and multi-level losses, and of the plan that is drawn."),
    onPolicy: fraction
      .default(0)
      .describe("Share of steps whose answers the student writes itself (GKD); of generative models."),
    dropout: dropout.describe(
      "Dropout of an encoder or encoder-decoder while it is trained, everywhere at this rate; absent: the rates of its config.json, " +
        "as it is usually fine-tuned. 0: none, as decoder-only models are trained.",
    ),
    maxTokens: count.optional().describe("Most tokens of an answer that the student writes; 64 when absent."),
    ...optimizer,
    learningRate: optimizer.learningRate.default(5e-5),
    storage: storage.describe(
      "How frozen weights lie in memory: the teacher's, and the base of a student with an adapter. bfloat16 takes half, and rounds; " +
        "layers that a student takes from such a teacher are rounded too.",
    ),
    ...run,
    batchSize: count.default(32).describe("Examples an optimiser step."),
    microBatchTokens: count
      .optional()
      .describe("Padded tokens computed at once; refused where the transport is one over the whole batch."),
    restoreBest: z
      .boolean()
      .default(true)
      .describe("Save and report the checkpoint that is best on the held-out items."),
  })
  .refine(({ task, data }) => (task === undefined) !== (data === undefined), "one of task, data is due.");

export type WrittenKd = z.infer<typeof kdKeys>;
type WrittenSinkhorn = WrittenKd["sinkhorn"];
type Filled<T, K extends keyof T> = Omit<T, K> & { [P in K]-?: Exclude<T[P], undefined> };

/** A configuration with every default filled in. */
export type KdConfig = Filled<Omit<WrittenKd, "sinkhorn">, keyof typeof kdDefaults> & {
  sinkhorn: Filled<WrittenSinkhorn, Exclude<keyof typeof sinkhornDefaults, "iterations" | "gradient">>;
};

/** The keys that have a value, in one order, so that a run is the same however its configuration was written. */
const inOrder = (values: Record<string, unknown>, shape: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.keys(shape).flatMap((key) => (values[key] === undefined ? [] : [[key, values[key]]])),
  );

export function settled(written: WrittenKd): KdConfig {
  const sinkhorn = {
    ...sinkhornDefaultsOf(written.loss),
    ...inOrder(written.sinkhorn, sinkhornKeys.shape),
  };
  const all = {
    ...kdDefaults,
    ...inOrder(written, kdKeys.shape),
    sinkhorn: inOrder(sinkhorn, sinkhornKeys.shape),
  };
  return inOrder(all, kdKeys.shape) as KdConfig;
}

export const kdSchema = kdKeys
  .superRefine((config, context) => {
    for (const { path, reason } of refusedKeys(config))
      context.addIssue({ code: "custom", path: [...path], message: reason });
  })
  .transform(settled)
  .describe("fdiv kd: distil a teacher into a student");
