import { z } from "zod";
import { dataSchema } from "./data-schema.ts";
import { evaluation } from "./evaluation-schema.ts";
import { idleSettings } from "./idle-settings.ts";
import { ema, noise, optimizer } from "./learning-schema.ts";
import { teacher } from "./teacher-schema.ts";

const count = z.int().positive();
const positive = z.number().positive();
const pair = z.tuple([z.number(), z.number()]);

const normaliser = z.union([
  z.literal(false),
  z.strictObject({
    bins: count.default(10),
    scale: z
      .enum(["linear", "log", "schedule"])
      .default("linear")
      .describe("Bins of equal width in σ, in log σ, or in the steps of the teacher's discrete schedule."),
    range: pair.optional().describe("Noise levels covered; those of the noise to distil at when absent."),
    decay: z.number().min(0).max(0.99999).default(0.9),
  }),
]);

const ratio = z
  .strictObject({
    source: z
      .enum(["discriminator", "samples", "none"])
      .default("discriminator")
      .describe(
        "samples: the mixture's exact density over that of fresh samples of the generator with noise; none: reverse KL without a discriminator.",
      ),
    samples: count
      .optional()
      .describe("Of the source samples: how many the generator's density is the mean over; 1024."),
    logitClamp: positive.optional().describe("Of the discriminator; 10."),
    range: pair.optional().describe("Ratios of the discriminator are cut to it; [0.1, 20]."),
    normaliser: normaliser
      .optional()
      .describe("Running means by noise bin that the discriminator's ratios are divided by; false for none."),
  })
  .refine(
    ({ source, samples }) => source === "samples" || samples === undefined,
    "samples is for the source samples.",
  )
  .refine(
    ({ source, logitClamp, range, normaliser: bins }) =>
      source === "discriminator" || [logitClamp, range, bins].every((value) => value === undefined),
    "logitClamp, range and normaliser are for the source discriminator.",
  )
  .prefault({})
  .describe("Where the density ratio comes from.");

const discriminator = z.strictObject({
  over: z
    .enum(["teacher", "fake"])
    .default("teacher")
    .describe(
      "Whose features its heads read: the frozen teacher's (f-distill) or the fake denoiser's (DMD2).",
    ),
  features: z
    .array(z.int())
    .min(1)
    .default([-1])
    .describe("Which features get a head; negative ones count from the end, the middle of a U-Net."),
  hidden: count.default(64),
  weight: z.number().min(0).default(1),
  gradientPenalty: z
    .strictObject({ kind: z.enum(["exact", "approximate"]), weight: positive, step: positive.optional() })
    .optional()
    .describe("R1."),
});

export const distillSchema = z
  .strictObject({
    $schema: z.string().optional(),
    data: dataSchema,
    conditional: z
      .boolean()
      .default(false)
      .describe("Generate by class; the data must have labels. Captions always condition."),
    teacher,
    divergence: z
      .string()
      .default("jensen-shannon")
      .describe(
        "reverse-kl is DMD2; forward-kl, squared-hellinger, jeffreys, softened-reverse-kl, alpha:α, …",
      ),
    ratio,
    discriminator: discriminator.optional(),
    matchingWeight: z.number().min(0).default(1).describe("0 leaves the adversarial term alone."),
    adversarialWeight: z
      .number()
      .min(0)
      .optional()
      .describe("Of softplus(-logit) in the generator's loss; 0.001 with a discriminator."),
    guidance: z
      .strictObject({ scale: z.number(), interval: pair.optional() })
      .optional()
      .describe("Classifier-free guidance of the teacher, away from no class or the empty text."),
    schedule: z
      .strictObject({
        generatorEvery: count.default(5),
        criticMeanwhile: z.enum(["rest", "train"]).default("rest"),
      })
      .prefault({})
      .describe("Two time scales: rest is f-distill's code, train DMD2's."),
    noise: noise
      .optional()
      .describe("Levels that are matched; karras-uniform over the teacher's when absent."),
    fakeNoise: noise.optional().describe("Levels at which the fake denoiser learns; the same when absent."),
    sigmaMax: positive
      .optional()
      .describe(
        "The student's input level; the teacher's highest when absent. For runs of a few thousand steps give 10.",
      ),
    fakeLoss: z
      .enum(["edm", "clean"])
      .default("edm")
      .describe(
        "Weighted by EDM's (σ² + σ_d²)/(σσ_d)², or the plain square, as f-distill has it for Stable Diffusion.",
      ),
    scale: z.enum(["mean-absolute", "score"]).default("mean-absolute"),
    balance: z.boolean().default(true).describe("Divide weights by their mean over the batch."),
    steps: count.default(5000),
    batchSize: count.default(64),
    microBatch: count
      .optional()
      .describe("Examples in memory at once, a divisor of batchSize; the same numbers up to rounding."),
    optimizers: z
      .strictObject({
        generator: optimizer(1e-4),
        fake: optimizer(1e-4),
        discriminator: optimizer(1e-4),
      })
      .prefault({}),
    ema: ema.default({ kind: "power", width: 0.1 }).describe("Of the generator; false saves it as it is."),
    patience: count.default(20).describe("Consecutive gradients that are not finite before it gives up."),
    evaluation,
    checkpointEvery: count.default(500),
    keep: count.default(2),
    previewEvery: count.optional().describe("Steps between pictures of the student; 500."),
    seed: z.int().min(0).default(0),
    output: z.string().describe("The run directory to make."),
  })
  .refine(
    ({ ratio: { source }, ...given }) => source === "discriminator" || given.discriminator === undefined,
    "discriminator: ratio.source is not discriminator.",
  )
  .refine(
    ({ data, teacher: { model } }) => data.captions === undefined || model !== undefined,
    "data.captions: teacher.model is due, a folder of a text-to-image pipeline.",
  )
  .refine(
    ({ data, evaluation: { captions, pictures } }) =>
      data.captions !== undefined || (captions === undefined && pictures === undefined),
    "evaluation.captions and evaluation.pictures are for data.captions.",
  )
  .superRefine((config, { addIssue }) => {
    for (const { path, why } of idleSettings(config)) addIssue({ code: "custom", path, message: why });
  })
  .describe("fdiv distill: a one-step generator from a diffusion teacher under any f-divergence");

export type DistillConfig = z.infer<typeof distillSchema>;
export type NoiseConfig = z.infer<typeof noise>;
export type OptimizerConfig = DistillConfig["optimizers"]["generator"];
export type EmaConfig = z.infer<typeof ema>;

/** Whether the student is made by class or by text. */
export const isConditional = ({ conditional, data }: Pick<DistillConfig, "conditional" | "data">): boolean =>
  conditional || data.captions !== undefined;

/** The discriminator's settings, defaults and all. */
export const discriminatorOf = ({ discriminator: given }: DistillConfig): z.infer<typeof discriminator> =>
  given ?? discriminator.parse({});
