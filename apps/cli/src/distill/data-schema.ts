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
    captions: z
      .string()
      .optional()
      .describe(
        "For a text-to-image teacher: rows of caption and image (.jsonl, .csv, .parquet …), MS-COCO's captions_*.json, or a folder of PNG and JPEG with a .txt each. Without images ratio.source none.",
      ),
    pictures: z
      .string()
      .optional()
      .describe("The folder of the images that a file of captions names; the file's own when absent."),
    cache: z
      .string()
      .optional()
      .describe("Where the latents of those images are kept; the cache's folder when absent."),
    size: count
      .optional()
      .describe(
        "Height and width to bring images to, by area averaging; the autoencoder's when absent, with captions.",
      ),
    channels: z
      .union([z.literal(1), z.literal(3)])
      .optional()
      .describe("Of a folder's images."),
    range: pair.optional().describe("What the lowest and highest value of float images mean; [-1, 1]."),
    limit: count.optional().describe("Use only so many examples."),
    flip: z.boolean().default(false).describe("Mirror half of the images left to right."),
  })
  .refine(
    ({ images, points, mixture: law, captions }) =>
      [images, points, law, captions].filter((value) => value !== undefined).length === 1,
    "one of images, points, mixture, captions is due.",
  )
  .refine(
    ({ images, captions, labels, size, channels, range, flip }) =>
      images !== undefined ||
      ([labels, channels, range].every((value) => value === undefined) &&
        !flip &&
        (captions !== undefined || size === undefined)),
    "labels, size, channels, range and flip are for images (size for captions too).",
  )
  .refine(
    ({ captions, pictures, cache }) =>
      captions !== undefined || (pictures === undefined && cache === undefined),
    "pictures and cache are for captions.",
  );
