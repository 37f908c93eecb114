import { z } from "zod";

const positive = z.number().positive();
const pair = z.tuple([z.number(), z.number()]);

/** A law of noise levels. */
export const noise = z
  .strictObject({
    kind: z.enum(["karras-uniform", "log-normal", "log-uniform", "schedule-uniform"]),
    min: positive.optional(),
    max: positive.optional(),
    rho: positive.optional().describe("Of karras-uniform; 7."),
    mean: z.number().optional().describe("Of log-normal; -1.2."),
    deviation: positive.optional().describe("Of log-normal; 1.2."),
    steps: pair
      .optional()
      .describe(
        "Of schedule-uniform: first and last step of the teacher's discrete schedule; all of them when absent.",
      ),
  })
  .refine(({ kind, ...given }) => {
    const own = {
      "log-normal": ["mean", "deviation"],
      "karras-uniform": ["min", "max", "rho"],
      "log-uniform": ["min", "max"],
      "schedule-uniform": ["steps"],
    }[kind];
    return Object.entries(given).every(([name, value]) => value === undefined || own.includes(name));
  }, "log-normal takes mean and deviation, karras-uniform min, max and rho, log-uniform min and max, schedule-uniform steps.");

/** AdamW with its schedule, at a default learning rate. */
export const optimizer = (learningRate: number) =>
  z
    .strictObject({
      learningRate: positive.default(learningRate),
      beta1: z.number().min(0).max(0.9999).default(0.9),
      beta2: z.number().min(0).max(0.99999).default(0.999),
      weightDecay: z.number().min(0).default(0),
      gradientClip: positive.default(10),
      schedule: z.enum(["constant", "linear", "cosine"]).default("constant"),
      warmup: z.number().min(0).default(0).describe("Below 1: share of all steps; from 1: steps."),
    })
    .prefault({});

/** An average of parameters over training. */
export const ema = z.union([
  z.strictObject({ kind: z.literal("power"), width: positive }),
  z.strictObject({
    kind: z.literal("fixed"),
    decay: z.number().min(0).max(0.999999),
    warmUp: z.boolean().default(true),
  }),
  z.literal(false),
]);
