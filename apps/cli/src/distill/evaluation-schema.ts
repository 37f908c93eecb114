import { z } from "zod";

const count = z.int().positive();
const positive = z.number().positive();

const classifier = z
  .strictObject({
    model: z
      .string()
      .optional()
      .describe("The classifier/model.safetensors of another run on the same data; none is trained then."),
    steps: count.optional().describe("600."),
    batchSize: count.optional().describe("128."),
    learningRate: positive.optional().describe("0.002."),
    blockChannels: z.array(count).min(1).optional().describe("[32, 64, 64]."),
    features: count.optional().describe("64."),
  })
  .refine(
    ({ model, steps, batchSize, learningRate }) =>
      model === undefined || [steps, batchSize, learningRate].every((value) => value === undefined),
    "steps, batchSize and learningRate are for a classifier that is trained; a model is given.",
  );

/** What samples are drawn and how they are measured. */
export const evaluation = z
  .strictObject({
    samples: z
      .int()
      .min(24)
      .optional()
      .describe(
        "Of the student, the teacher, and twice the real data; 2000, or half of the data where they are fewer.",
      ),
    features: z
      .array(z.string())
      .optional()
      .describe(
        "classifier (trained on the same data where it has labels), pixels, pooled-latents (with captions), or modules whose default export maps (values, count, shape) to { values, dimensions }.",
      ),
    teacherSteps: z.array(count).default([18, 35]).describe("Heun steps of the teacher's rows."),
    neighbours: count.optional().describe("Of precision, recall, density and coverage; 5."),
    divergences: z
      .array(z.string())
      .optional()
      .describe(
        "Measured by quadrature where the data is a mixture of one or two dimensions; [reverse-kl, forward-kl, jensen-shannon].",
      ),
    captions: z
      .string()
      .optional()
      .describe(
        "With data.captions: captioned images to measure by, for instance MS-COCO's, when not the training data's.",
      ),
    pictures: z.string().optional().describe("The folder of the images that those captions name."),
    sigma: positive.optional().describe("Noise level of those divergences; half a mode's deviation."),
    classifier: classifier.optional(),
  })
  .prefault({});

export type EvaluationConfig = z.infer<typeof evaluation>;

/** The classifier's settings, defaults and all. */
export const classifierOf = ({ classifier: given = {} }: EvaluationConfig) => ({
  model: given.model,
  steps: given.steps ?? 600,
  batchSize: given.batchSize ?? 128,
  learningRate: given.learningRate ?? 2e-3,
  blockChannels: given.blockChannels ?? [32, 64, 64],
  features: given.features ?? 64,
});
