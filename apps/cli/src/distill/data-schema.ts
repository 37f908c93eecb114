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

/** Where examples come from. */
export const dataSchema = z
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
