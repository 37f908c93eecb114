import { z } from "zod";

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

export type FeatureConfig = z.infer<typeof feature>;
