import { z } from "zod";

const count = z.int().positive();

/** What a text has: one of these keys, and a name to report it by. */
export const feature = z
  .strictObject({
    word: z.string().optional().describe("1 where the word is in the text, whole, in any case."),
    words: z
      .union([z.array(z.string()).min(1), z.record(z.string(), z.number())])
      .optional()
      .describe("A lexicon: words, or weights by word."),
    measure: z
      .enum(["sum", "mean", "any"])
      .optional()
      .describe("Of a lexicon; any (0 or 1) where words alone are given, else sum."),
    regex: z.string().optional().describe("1 where the regular expression matches (flags: u)."),
    length: z.enum(["characters", "words", "tokens"]).optional(),
    json: z
      .union([
        z.boolean(),
        z.array(z.enum(["object", "array", "string", "number", "boolean", "null"])).min(1),
      ])
      .optional()
      .describe("1 where the whole text is JSON, of one of these kinds."),
    brackets: z.literal(true).optional().describe("1 where brackets are balanced and nested."),
    sentiment: z.literal(true).optional().describe("The text's sum of valences under the AFINN lexicon."),
    classifier: z
      .strictObject({
        model: z.string().describe("A sequence classifier: a Hugging Face folder or hf:owner/name."),
        label: z
          .union([z.string(), z.int().min(0)])
          .default(1)
          .describe("The label by name or index."),
        log: z.boolean().default(false).describe("The probability's logarithm."),
      })
      .optional()
      .describe("What a classifier says of the text: a label's probability."),
    module: z
      .string()
      .optional()
      .describe("A module whose default export gives a number or boolean for (completion, prompt)."),
    name: z.string().optional(),
  })
  .refine(
    ({ name: _, measure, ...kinds }) =>
      Object.values(kinds).filter((value) => value !== undefined).length === 1 &&
      (measure === undefined || kinds.words !== undefined),
    "one of word, words (with a measure), regex, length, json, brackets, sentiment, classifier, module is due.",
  );

export const dpgSchema = z
  .strictObject({
    $schema: z.string().optional(),
    model: z
      .string()
      .describe(
        "The base, from which the policy starts: a folder, a GGUF or llama2.c file, or hf:owner/name.",
      ),
    tokenizer: z.string().optional().describe("Tokenizer of a llama2.c model."),
    target: z
      .strictObject({
        times: z
          .array(feature)
          .default([])
          .describe("Features that must hold: the base is multiplied by each (0 or 1, or any number ≥ 0)."),
        tilt: z
          .strictObject({ reward: feature, beta: z.number().positive().default(1) })
          .optional()
          .describe("RLHF's target: the base times exp(reward/beta)."),
        constrain: z
          .array(z.strictObject({ feature, moment: z.number() }))
          .default([])
          .describe("Means that features shall have under the target; fitted by samples of the base."),
        samples: count
          .default(2048)
          .describe("Samples of the base, a prompt, that moments are fitted on at first."),
        maxSamples: count.optional().describe("At most so many; 16 times as many when absent."),
      })
      .refine(
        ({ times, tilt, constrain }) => times.length + constrain.length > 0 || tilt !== undefined,
        "without times, tilt or constrain the target is the base itself.",
      ),
    prompts: z
      .union([z.array(z.string()).min(1), z.string()])
      .optional()
      .describe("Contexts: prompts, or a file of one a line. Absent: texts from their beginning."),
    divergence: z
      .string()
      .default("jensen-shannon")
      .describe("forward-kl is DPG, reverse-kl RL with a KL penalty."),
    smoothing: z
      .number()
      .min(0)
      .max(0.999)
      .default(0)
      .describe("ε of (1 − ε)·p + ε·base, where the target's zeros make the divergence infinite."),
    baseline: z.enum(["none", "running-mean", "leave-one-out"]).default("leave-one-out"),
    proposal: z
      .enum(["policy", "base", "adaptive"])
      .default("policy")
      .describe("What is drawn from; adaptive: the base at first, then the best policy so far (forward KL)."),
    maxTokens: count.default(40).describe("Tokens of a text; a longer one is cut there."),
    promptsPerStep: count.optional(),
    samplesPerPrompt: count
      .optional()
      .describe("Texts drawn of each prompt a step; 64 for one prompt, else 8."),
    chunk: count.default(64).describe("Texts computed at a time, which changes no result."),
    partition: z
      .strictObject({
        samples: count.default(256),
        maxSamples: count.optional(),
        decay: z.number().gt(0).max(1).default(0.99),
      })
      .prefault({})
      .describe(
        "How Z is estimated: draws of a prompt that is new, and what earlier draws count a step later.",
      ),
    lora: z
      .strictObject({ rank: count.default(16), targets: z.array(z.string()).optional() })
      .optional()
      .describe("Train an adapter; the base is the model without it."),
    steps: count.default(500),
    learningRate: z.number().positive().default(1e-4),
    schedule: z.enum(["constant", "linear", "cosine"]).default("constant"),
    warmup: z.number().min(0).default(0.02).describe("Below 1: share of all steps; from 1: steps."),
    gradientClip: z.number().positive().default(1),
    weightDecay: z.number().min(0).default(0),
    checkpointEvery: count.default(50),
    keep: count.default(2),
    samplesEvery: count.default(50).describe("Steps between samples in the log."),
    evaluationSamples: count.default(512).describe("Texts that the last figures rest on."),
    dtype: z.enum(["F32", "F16", "BF16"]).default("F32"),
    seed: z.int().min(0).default(0),
    output: z.string().describe("The run directory to make."),
  })
  .describe("fdiv dpg: approximate a target distribution under any f-divergence");

export type DpgConfig = z.infer<typeof dpgSchema>;
export type FeatureConfig = z.infer<typeof feature>;
