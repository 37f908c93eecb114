import { z } from "zod";

const count = z.int().positive();
const positive = z.number().positive();

/** What samples are drawn and how they are measured. */
export const evaluation = z
  .strictObject({
    samples: z.int().min(24).default(2000).describe("Of the student, the teacher, and twice the real data."),
    features: z
      .array(z.string())
      .optional()
      .describe(
        "classifier (trained on the same data where it has labels), pixels, pooled-latents (with captions), or modules whose default export maps (values, count, shape) to { values, dimensions }.",
      ),
    teacherSteps: z.array(count).default([18, 35]).describe("Heun steps of the teacher's rows."),
    neighbours: count.default(5),
    divergences: z
      .array(z.string())
      .default(["reverse-kl", "forward-kl", "jensen-shannon"])
      .describe("Measured by quadrature where the data is a mixture."),
    captions: z
      .string()
      .optional()
      .describe(
        "With data.captions: captioned images to measure by, for instance MS-COCO's, when not the training data's.",
      ),
    pictures: z.string().optional().describe("The folder of the images that those captions name."),
    sigma: positive.optional().describe("Noise level of those; half a mode's deviation when absent."),
    classifier: z
      .strictObject({
        model: z
          .string()
          .optional()
          .describe(
            "The classifier/model.safetensors of another run on the same data; none is trained then.",
          ),
        steps: count.default(600),
        batchSize: count.default(128),
        learningRate: positive.default(2e-3),
        blockChannels: z.array(count).min(1).default([32, 64, 64]),
        features: count.default(64),
      })
      .prefault({}),
  })
  .prefault({});
