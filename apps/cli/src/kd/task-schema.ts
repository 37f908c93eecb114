import { z } from "zod";
import { count } from "../config/schemas.ts";

/** Where splits lie that the task's folder has not, or under another name. */
const files = z
  .strictObject({
    train: z.string().optional(),
    validation: z.string().optional(),
    test: z.string().optional(),
    validation_mismatched: z.string().optional().describe("Of MNLI alone, reported beside validation."),
    test_mismatched: z.string().optional().describe("Of MNLI alone, reported beside test."),
  })
  .optional()
  .describe("Files of single splits, in place of those in the folder.");

/** What a configuration says of a task of GLUE or SuperGLUE. */
export const task = z
  .strictObject({
    name: z.string().describe("A task of GLUE or SuperGLUE: sst2, rte, mrpc, boolq, multirc, …"),
    folder: z.string().optional().describe("The folder of its official files, or of Parquet copies."),
    files,
    report: z
      .enum(["validation", "test"])
      .default("validation")
      .describe("The split that is reported, and that chooses nothing."),
    held: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.1)
      .describe("Share of the training items that chooses checkpoints."),
    limit: count.optional().describe("Use only the first training items."),
    onError: z.enum(["stop", "skip"]).default("stop").describe("What a row does that can't be read."),
    maxLength: count.default(128).describe("Tokens of a question with its answer."),
  })
  .describe("A task with labels; or give data.");
