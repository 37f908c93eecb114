import { z } from "zod";
import { count, lora, storage } from "./schemas.ts";

/** The model that a policy starts from, and what of it is trained. */
export const policyModel = {
  model: z
    .string()
    .describe(
      "The model that the policy starts from and is compared with: a folder, a GGUF or llama2.c file, or hf:owner/name; decoder-only, or T5.",
    ),
  tokenizer: z.string().optional().describe("Tokenizer of a llama2.c model."),
  lora: lora.optional().describe("Train an adapter; what it is compared with is the model without it."),
  storage: storage.describe(
    "How the frozen weights under an adapter lie in memory; bfloat16 takes half, and rounds.",
  ),
};

/** What texts are drawn in a step. */
export const drawing = {
  prompts: z
    .union([z.array(z.string()).min(1), z.string()])
    .optional()
    .describe("Contexts: prompts, or a file of one a line. Absent: texts from their beginning."),
  maxTokens: count.default(40).describe("Tokens of a text; a longer one is cut there."),
  promptsPerStep: count.optional(),
  samplesPerPrompt: count
    .optional()
    .describe("Texts drawn of each prompt a step; 64 for one prompt, else 8."),
  chunk: count.default(64).describe("Texts computed at a time, which changes no result."),
};

/** How a run that draws its own texts learns, saves and ends. */
export const policyRun = {
  steps: count,
  learningRate: z.number().positive(),
  schedule: z.enum(["constant", "linear", "cosine"]).default("constant"),
  warmup: z.number().min(0).default(0.02).describe("Below 1: share of all steps; from 1: steps."),
  gradientClip: z.number().positive().default(1),
  weightDecay: z.number().min(0).default(0),
  checkpointEvery: count,
  keep: count.default(2),
  samplesEvery: count.describe("Steps between samples in the log."),
  evaluationSamples: count.default(512).describe("Texts that the last figures rest on."),
  dtype: z.enum(["F32", "F16", "BF16"]).default("F32").describe("Number format of the saved model."),
  seed: z.int().min(0).default(0),
  output: z.string().describe("The run directory to make."),
};
