import { z } from "zod";

const count = z.int().positive();
const positive = z.number().positive();
const pair = z.tuple([z.number(), z.number()]);

const component = z.strictObject({
  weight: positive.optional(),
  mean: z.array(z.number()).min(1),
  covariance: z
    .union([positive, z.array(z.number()), z.array(z.array(z.number()))])
    .describe("One variance, one an axis, or the matrix."),
});

/** A law whose density and scores are known at every noise level. */
const mixture = z
  .strictObject({
    ring: z
      .strictObject({ modes: count, radius: positive, deviation: positive })
      .optional()
      .describe("Equal modes on a circle."),
    grid: z
      .strictObject({ side: count, spacing: positive, deviation: positive })
      .optional()
      .describe("side × side equal modes."),
    components: z.array(component).min(1).optional(),
  })
  .refine(
    (kinds) => Object.values(kinds).filter((value) => value !== undefined).length === 1,
    "one of ring, grid, components is due.",
  );

const data = z
  .strictObject({
    images: z
      .string()
      .optional()
      .describe("An IDX or .npy file (.gz too), or a folder of PNG and JPEG whose subfolders are classes."),
    labels: z.string().optional().describe("Class numbers of an array file's images: IDX or .npy."),
    points: z.string().optional().describe("A .npy file of floats [count, dimensions]."),
    mixture: mixture.optional(),
    size: count.optional().describe("Height and width to bring images to, by area averaging."),
    channels: z
      .union([z.literal(1), z.literal(3)])
      .optional()
      .describe("Of a folder's images."),
    range: pair.optional().describe("What the lowest and highest value of float images mean; [-1, 1]."),
    limit: count.optional().describe("Use only so many examples."),
    flip: z.boolean().default(false).describe("Mirror half of the images left to right."),
  })
  .refine(
    ({ images, points, mixture: law }) =>
      [images, points, law].filter((value) => value !== undefined).length === 1,
    "one of images, points, mixture is due.",
  )
  .refine(
    ({ images, labels, size, channels, range, flip }) =>
      images !== undefined ||
      ([labels, size, channels, range].every((value) => value === undefined) && !flip),
    "labels, size, channels, range and flip are for images.",
  );

const noise = z
  .strictObject({
    kind: z.enum(["karras-uniform", "log-normal", "log-uniform"]),
    min: positive.optional(),
    max: positive.optional(),
    rho: positive.optional().describe("Of karras-uniform; 7."),
    mean: z.number().optional().describe("Of log-normal; -1.2."),
    deviation: positive.optional().describe("Of log-normal; 1.2."),
  })
  .refine(
    ({ kind, min, max, rho, mean, deviation }) =>
      kind === "log-normal"
        ? [min, max, rho].every((value) => value === undefined)
        : [mean, deviation].every((value) => value === undefined) &&
          (kind === "karras-uniform" || rho === undefined),
    "log-normal takes mean and deviation, the others min and max (karras-uniform rho too).",
  );

const optimizer = (learningRate: number) =>
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

const ema = z.union([
  z.strictObject({ kind: z.literal("power"), width: positive }),
  z.strictObject({
    kind: z.literal("fixed"),
    decay: z.number().min(0).max(0.999999),
    warmUp: z.boolean().default(true),
  }),
  z.literal(false),
]);

const teacher = z
  .strictObject({
    model: z
      .string()
      .optional()
      .describe("A diffusers UNet2DModel folder, or the teacher/model of another run; none is trained then."),
    exact: z
      .boolean()
      .default(false)
      .describe("Use the mixture's exact denoiser; the trained one only starts student and fake denoiser."),
    net: z
      .strictObject({
        kind: z.enum(["auto", "unet", "mlp"]).default("auto"),
        blockChannels: z.array(count).min(1).default([32, 64, 64]).describe("Of a U-Net's levels."),
        layersPerBlock: count.default(1),
        attentionLevels: z
          .int()
          .min(0)
          .default(1)
          .describe("Levels that attend, from the lowest resolution up."),
        normGroups: count.default(8),
        headSize: count.default(32),
        hidden: count.default(128).describe("Of an MLP."),
        layers: count.default(3).describe("Of an MLP."),
      })
      .prefault({}),
    sigmaData: positive.optional().describe("The data's root mean square, measured when absent."),
    steps: count.default(4000),
    batchSize: count.default(64),
    noise: noise.default({ kind: "log-normal" }),
    optimizer: optimizer(1e-3),
    ema: ema.default({ kind: "power", width: 0.1 }),
    dropLabels: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe("Share of labels left out in training, so that guidance has something to move away from."),
  })
  .prefault({})
  .describe("The diffusion model to distil.");

const normaliser = z.union([
  z.literal(false),
  z.strictObject({
    bins: count.default(10),
    scale: z.enum(["linear", "log"]).default("linear"),
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
    samples: count.default(1024).describe("Fresh samples that the generator's density is the mean over."),
    logitClamp: positive.default(10),
    range: pair.default([0.1, 20]),
    normaliser: normaliser.default({ bins: 10, scale: "linear", decay: 0.9 }),
  })
  .prefault({})
  .describe("Where the density ratio comes from.");

const discriminator = z
  .strictObject({
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
  })
  .prefault({});

const evaluation = z
  .strictObject({
    samples: z.int().min(24).default(2000).describe("Of the student, the teacher, and twice the real data."),
    features: z
      .array(z.string())
      .optional()
      .describe(
        "classifier (trained on the same data where it has labels), pixels, or modules whose default export maps (values, count, shape) to { values, dimensions }.",
      ),
    teacherSteps: z.array(count).default([18, 35]).describe("Heun steps of the teacher's rows."),
    neighbours: count.default(5),
    divergences: z
      .array(z.string())
      .default(["reverse-kl", "forward-kl", "jensen-shannon"])
      .describe("Measured by quadrature where the data is a mixture."),
    sigma: positive.optional().describe("Noise level of those; half a mode's deviation when absent."),
    classifier: z
      .strictObject({
        steps: count.default(600),
        batchSize: count.default(128),
        learningRate: positive.default(2e-3),
        blockChannels: z.array(count).min(1).default([32, 64, 64]),
        features: count.default(64),
      })
      .prefault({}),
  })
  .prefault({});

export const distillSchema = z
  .strictObject({
    $schema: z.string().optional(),
    data,
    conditional: z.boolean().default(false).describe("Generate by class; the data must have labels."),
    teacher,
    divergence: z
      .string()
      .default("jensen-shannon")
      .describe(
        "reverse-kl is DMD2; forward-kl, squared-hellinger, jeffreys, softened-reverse-kl, alpha:α, …",
      ),
    ratio,
    discriminator,
    matchingWeight: z.number().min(0).default(1).describe("0 leaves the adversarial term alone."),
    adversarialWeight: z.number().min(0).default(0.001),
    guidance: z
      .strictObject({ scale: z.number(), interval: pair.optional() })
      .optional()
      .describe("Classifier-free guidance of the teacher."),
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
    fakeNoise: noise.default({ kind: "log-normal" }).describe("Levels at which the fake denoiser learns."),
    sigmaMax: positive.optional().describe("The student's input level; the teacher's highest when absent."),
    scale: z.enum(["mean-absolute", "score"]).default("mean-absolute"),
    balance: z.boolean().default(true).describe("Divide weights by their mean over the batch."),
    steps: count.default(5000),
    batchSize: count.default(64),
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
    previewEvery: count.default(500).describe("Steps between pictures of the student."),
    seed: z.int().min(0).default(0),
    output: z.string().describe("The run directory to make."),
  })
  .describe("fdiv distill: a one-step generator from a diffusion teacher under any f-divergence");

export type DistillConfig = z.infer<typeof distillSchema>;
export type NoiseConfig = z.infer<typeof noise>;
export type OptimizerConfig = DistillConfig["optimizers"]["generator"];
export type EmaConfig = z.infer<typeof ema>;
