import { z } from "zod";

export const count = z.int().positive();
export const fraction = z.number().min(0).max(1);

export const data = z
  .strictObject({
    train: z
      .union([z.string(), z.array(z.string()).min(1)])
      .describe("Files or hf: datasets: JSONL (.gz too), JSON, CSV, TSV, Parquet, plain text."),
    eval: z
      .union([fraction, z.string()])
      .default(0.1)
      .describe("Share of the prompts held out for evaluation, or a file of its own."),
    format: z
      .enum(["auto", "preference", "anthropic"])
      .default("auto")
      .describe("How a row is read; auto says what it found."),
    columns: z.record(z.string(), z.string()).optional().describe("Field renaming: { prompt: question }."),
    template: z
      .enum(["auto", "plain", "anthropic", "chat"])
      .default("auto")
      .describe("How messages become text; auto takes the model's chat template when it has one."),
    maxLength: count.default(512).describe("Tokens of prompt and completion together."),
    maxPromptLength: count.optional().describe("Tokens of the prompt; the end of a longer one is kept."),
    limit: count.optional().describe("Use only the first rows."),
    onError: z
      .enum(["stop", "skip"])
      .default("stop")
      .describe("What a row does that is malformed or lacks a field."),
  })
  .describe("The rows to train on.");

/** Demonstrations have one form, told by their fields. */
const demonstrations = data.omit({ format: true }).describe("The rows to train on.");

/** Rows to judge by are all of them. */
const judged = data.omit({ eval: true }).describe("Preference rows, for accuracy and calibration.");

export const lora = z
  .strictObject({
    rank: count.default(16),
    alpha: z.number().positive().optional().describe("Scale numerator; twice the rank when absent."),
    targets: z.array(z.string()).optional().describe("Names of the adapted projections, such as q_proj."),
    rankStabilised: z.boolean().default(false).describe("Scale by alpha/√rank in place of alpha/rank."),
  })
  .describe("Train a low-rank adapter and keep the base frozen; it doubles as the reference.");

/** Where nothing is compared with the model's own reference, dropout does no harm. */
export const loraWithDropout = lora
  .extend({
    dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("Share of what the adapter reads that is dropped in training."),
  })
  .describe("Train a low-rank adapter, and an encoder's head whole, and keep the rest frozen.");

/** What a configuration says of an adapter. */
export type LoraSettings = z.infer<typeof lora> & { dropout?: number };

const samples = z
  .union([
    z.literal(false),
    z.strictObject({
      every: count.optional().describe("Steps between samples; those between evaluations when absent."),
      prompts: z
        .union([z.array(z.string()).min(1), z.string()])
        .optional()
        .describe("Prompts, or a file of one a line; the first held-out ones when absent."),
      chat: z.boolean().default(false).describe("Put each of the prompts into the model's chat template."),
      count: count.default(16).describe("Completions drawn each time, over the prompts in turn."),
      maxTokens: count
        .optional()
        .describe("Tokens of a completion; 64 when absent, or what the model's context leaves."),
      reward: z
        .string()
        .optional()
        .describe("sentiment, length, or a module whose default export scores a text."),
    }),
  ])
  .prefault({})
  .describe(
    "Texts of the policy during training: KL(π‖ref), entropy and reward go to the log, the texts to samples.jsonl; false draws none.",
  );

export const optimizer = {
  learningRate: z.number().positive(),
  schedule: z
    .enum(["constant", "linear", "cosine", "inverse-sqrt", "wsd"])
    .default("linear")
    .describe("How the learning rate falls after the warm-up."),
  warmup: z.number().min(0).default(0.1).describe("Below 1: share of all steps; from 1: steps."),
  weightDecay: z.number().min(0).default(0),
  beta1: fraction.default(0.9),
  beta2: fraction.default(0.999),
  epsilon: z.number().positive().default(1e-8),
  gradientClip: z.number().positive().default(1).describe("Largest global norm of the gradient."),
};

export const storage = z
  .enum(["float32", "bfloat16"])
  .default("float32")
  .describe(
    "How frozen weights lie in memory: an adapter's base, a reference, a model that is judged. bfloat16 takes half.",
  );

export const run = {
  output: z.string().describe("The run directory to make."),
  seed: z.int().min(0).default(0),
  epochs: z.number().positive().default(1),
  steps: count.optional().describe("Stop after this many steps, whatever the epochs say."),
  batchSize: count.default(8).describe("Pairs (dpo) or texts (sft) an optimiser step."),
  microBatchTokens: count
    .default(4096)
    .describe("Padded tokens computed at once; a batch above it is split, which changes no result."),
  gradientCheckpointing: z
    .boolean()
    .default(false)
    .describe("Compute each layer anew in the backward pass: a third slower, far less memory."),
  evaluateEvery: count.optional().describe("Steps between evaluations; an epoch when absent."),
  checkpointEvery: count.default(200).describe("Steps between checkpoints."),
  keep: count.default(2).describe("Checkpoints kept beside the best one."),
  restoreBest: z
    .boolean()
    .default(false)
    .describe(
      "Save the parameters of the best evaluation in place of the last ones; both are kept as checkpoints.",
    ),
  patience: count.optional().describe("Stop after this many evaluations without improvement."),
  dtype: z.enum(["F32", "F16", "BF16"]).default("F32").describe("Number format of the saved model."),
};

export const dpoSchema = z
  .strictObject({
    $schema: z.string().optional(),
    model: z.string().describe("A Hugging Face folder, a GGUF or llama2.c file, or hf:owner/name@revision."),
    reference: z.string().optional().describe("The reference policy when it is not the model as loaded."),
    data,
    divergence: z
      .string()
      .default("reverse-kl")
      .describe(
        "reverse-kl, jensen-shannon, forward-kl, alpha:0.5, jeffreys, …; inadmissible ones are refused.",
      ),
    beta: z.number().positive().default(0.1),
    loss: z
      .enum(["sigmoid", "ipo", "hinge", "robust"])
      .default("sigmoid")
      .describe("What is made of the margin."),
    labelSmoothing: z.number().min(0).max(0.4999).default(0),
    lengthNormalised: z.boolean().default(false).describe("Divide each log-ratio by its tokens."),
    sftWeight: z.number().min(0).default(0).describe("Weight of the chosen completion's mean token loss."),
    sharePrompt: z.boolean().default(true).describe("Compute a pair's prompt once."),
    lora: lora.optional(),
    cache: z
      .string()
      .optional()
      .describe("Folder for the reference's log-probabilities; a per-user one when absent."),
    samples,
    ...optimizer,
    learningRate: optimizer.learningRate.default(1e-5),
    storage,
    ...run,
  })
  .describe("fdiv dpo: direct preference optimisation under any admissible f-divergence");

export const sftSchema = z
  .strictObject({
    $schema: z.string().optional(),
    model: z.string().describe("A Hugging Face folder, a GGUF or llama2.c file, or hf:owner/name@revision."),
    data: demonstrations,
    lora: loraWithDropout.optional(),
    ...optimizer,
    learningRate: optimizer.learningRate.default(5e-5),
    storage,
    ...run,
  })
  .describe("fdiv sft: supervised fine-tuning");

export const evalSchema = z
  .strictObject({
    $schema: z.string().optional(),
    model: z.string().describe("The policy to judge."),
    reference: z.string().optional().describe("The reference policy; none skips what needs one."),
    data: judged.optional(),
    divergence: z.string().default("reverse-kl"),
    beta: z.number().positive().default(0.1),
    prompts: z
      .union([z.array(z.string()).min(1), z.string()])
      .optional()
      .describe("Prompts, or a file of one a line."),
    chat: z.boolean().default(false).describe("Put each prompt into the model's chat template."),
    samples: count.default(64).describe("Completions sampled over all prompts, one at least of each."),
    maxTokens: count.default(64),
    temperature: z.number().min(0).default(1),
    storage,
    reward: z
      .string()
      .optional()
      .describe("sentiment (the AFINN lexicon), length, or a module whose default export scores a text."),
    seed: z.int().min(0).default(0),
    microBatchTokens: run.microBatchTokens,
    output: z.string().describe("Folder for evaluation.json and samples.jsonl."),
  })
  .describe("fdiv eval: rewards, divergences, diversity and calibration of a model");

export const schemas = { dpo: dpoSchema, sft: sftSchema, eval: evalSchema };

export type DpoConfig = z.infer<typeof dpoSchema>;
export type SftConfig = z.infer<typeof sftSchema>;
export type EvalConfig = z.infer<typeof evalSchema>;
