import { z } from "zod";
import { feature } from "../dpg/dpg-schema.ts";

const count = z.int().positive();

export const ppoSchema = z
  .strictObject({
    $schema: z.string().optional(),
    model: z
      .string()
      .describe(
        "The reference, from which the policy starts: a folder, a GGUF or llama2.c file, or hf:owner/name.",
      ),
    tokenizer: z.string().optional().describe("Tokenizer of a llama2.c model."),
    reward: feature.describe("What is to be raised: a feature of the text that was written."),
    prompts: z
      .union([z.array(z.string()).min(1), z.string()])
      .optional()
      .describe("Contexts: prompts, or a file of one a line. Absent: texts from their beginning."),
    divergence: z
      .string()
      .default("reverse-kl")
      .describe("What holds the policy to the reference; any of the family."),
    penalty: z
      .strictObject({
        place: z
          .enum(["reward", "loss"])
          .default("reward")
          .describe("Subtracted from the reward, or added to the loss."),
        per: z
          .enum(["token", "sequence"])
          .optional()
          .describe("Of a token's log-ratio or of the text's; token for reverse-kl, else sequence."),
        coefficient: z
          .number()
          .positive()
          .default(0.05)
          .describe("β of max E r − β·D; where target is set, what it starts from."),
        target: z
          .number()
          .positive()
          .optional()
          .describe("Steer the coefficient to this divergence, in nats."),
        horizon: count.default(10_000).describe("Texts over which the steering takes effect."),
      })
      .prefault({}),
    value: z
      .strictObject({
        trunk: z
          .enum(["shared", "separate"])
          .default("shared")
          .describe("Read the policy's hidden states, or those of a copy that is trained beside it."),
        weight: z.number().min(0).default(0.1).describe("What the value's loss counts beside the policy's."),
        clip: z
          .number()
          .positive()
          .nullable()
          .default(null)
          .describe("Largest change of a value in a step that counts, in units of reward; null: any."),
      })
      .prefault({})
      .describe("The value head."),
    maxTokens: count.default(40).describe("Tokens of a text; a longer one is cut there."),
    promptsPerStep: count.optional(),
    samplesPerPrompt: count
      .optional()
      .describe("Texts drawn of each prompt a step; 64 for one prompt, else 8."),
    epochs: count.default(4).describe("How often a step's texts are gone through."),
    minibatch: count.optional().describe("Texts an optimiser step; a quarter of a step's when absent."),
    clip: z.number().gt(0).lt(1).default(0.2).describe("ε of the clipped ratio."),
    gamma: z.number().min(0).max(1).default(1),
    lambda: z.number().min(0).max(1).default(0.95).describe("λ of generalised advantage estimation."),
    whiten: z.boolean().default(true).describe("Bring a step's advantages to mean 0 and variance 1."),
    chunk: count.default(64).describe("Texts computed at a time."),
    lora: z
      .strictObject({ rank: count.default(16), targets: z.array(z.string()).optional() })
      .optional()
      .describe("Train an adapter; the reference is the model without it."),
    steps: count.default(200).describe("Rounds of drawing texts and learning from them."),
    learningRate: z.number().positive().default(5e-5),
    schedule: z.enum(["constant", "linear", "cosine"]).default("constant"),
    warmup: z.number().min(0).default(0.02).describe("Below 1: share of all steps; from 1: steps."),
    gradientClip: z.number().positive().default(1),
    weightDecay: z.number().min(0).default(0),
    checkpointEvery: count.default(20),
    keep: count.default(2),
    samplesEvery: count.default(20).describe("Steps between samples in the log."),
    evaluationSamples: count.default(512).describe("Texts that the last figures rest on."),
    dtype: z.enum(["F32", "F16", "BF16"]).default("F32"),
    seed: z.int().min(0).default(0),
    output: z.string().describe("The run directory to make."),
  })
  .describe(
    "fdiv ppo: raise a reward by proximal policy optimisation, held to the reference by any f-divergence",
  );

export type PpoConfig = z.infer<typeof ppoSchema>;
