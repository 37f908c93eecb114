import { pathToFileURL } from "node:url";
import type { FeatureSet } from "@fdiv/metrics";
import type { ImageClassifier } from "@fdiv/models";
import { ConfigError } from "../config/config-file.ts";
import type { DistillData, Examples } from "./distill-data.ts";
import { inPieces } from "./in-pieces.ts";

/** Examples to features, by a name that a measure is reported under. */
export interface Extractor {
  name: string;
  features(examples: Examples): Promise<FeatureSet> | FeatureSet;
}

/** The extractors that have a name; any other is a module's path. */
export const featureNames: readonly string[] = ["classifier", "pixels", "pooled-latents"];

/** Given pictures in [−1, 1], or points: some of them, or all. */
type UserFunction = (
  values: Float32Array,
  count: number,
  shape: readonly number[],
) =>
  | Promise<{ values: ArrayLike<number>; dimensions: number }>
  | { values: ArrayLike<number>; dimensions: number };

async function userExtractor(path: string, data: DistillData): Promise<Extractor> {
  const found: unknown = await import(pathToFileURL(path).href).then(
    (module: { default?: unknown }) => module.default,
    (error: Error) => {
      throw new ConfigError(`evaluation.features: ${path} can't be loaded: ${error.message}`);
    },
  );
  if (typeof found !== "function")
    throw new ConfigError(
      `evaluation.features: ${path} has no function as its default export; there are classifier, pixels, and modules with one.`,
    );
  return {
    name: path,
    async features(examples) {
      // Latents are decoded piece by piece: all pictures at once may be far more than fits.
      const piece = data.kind === "latents" ? data.piece : examples.count;
      let [joined, dimensions] = [new Float64Array(0), 0];
      for (let from = 0; from < examples.count; from += piece) {
        const count = Math.min(piece, examples.count - from);
        const { values, shape } = data.pictures(examples, from, count);
        const made = await (found as UserFunction)(Float32Array.from(values), count, shape);
        if (
          !Number.isSafeInteger(made?.dimensions) ||
          made.dimensions < 1 ||
          made.values?.length !== count * made.dimensions ||
          (from > 0 && made.dimensions !== dimensions)
        )
          throw new ConfigError(
            `evaluation.features: ${path} gave ${made?.values?.length} values for ${count} examples of ${made?.dimensions} dimensions.`,
          );
        if (from === 0) {
          dimensions = made.dimensions;
          joined = new Float64Array(examples.count * dimensions);
        }
        joined.set(made.values, from * dimensions);
      }
      return { values: joined, count: examples.count, dimensions };
    },
  };
}

/** Latents averaged over squares, at most 8 × 8 of them, as features: what is left is little enough for a covariance. */
function pooledLatents({ shape }: DistillData): Extractor {
  const [side, , channels] = shape as [number, number, number];
  const square = Math.max(1, Math.ceil(side / 8));
  const cells = Math.ceil(side / square);
  const dimensions = cells * cells * channels;
  return {
    name: "pooled latents",
    features({ values, count }) {
      const pooled = new Float64Array(count * dimensions);
      for (let i = 0; i < count; i++)
        for (let y = 0; y < side; y++)
          for (let x = 0; x < side; x++)
            for (let c = 0; c < channels; c++) {
              const [row, column] = [Math.floor(y / square), Math.floor(x / square)];
              const area = Math.min(square, side - row * square) * Math.min(square, side - column * square);
              pooled[i * dimensions + (row * cells + column) * channels + c]! +=
                values[((i * side + y) * side + x) * channels + c]! / area;
            }
      return { values: pooled, count, dimensions };
    },
  };
}

/** The feature extractors that a configuration names; without names, the classifier where there is one, else the values themselves. */
export async function extractorsOf(
  names: readonly string[] | undefined,
  data: DistillData,
  classifier: ImageClassifier | undefined,
): Promise<Extractor[]> {
  const usual = classifier ? "classifier" : data.kind === "latents" ? "pooled-latents" : "pixels";
  const chosen = names ?? [usual];
  return Promise.all(
    chosen.map(async (name): Promise<Extractor> => {
      if (name === "pooled-latents") {
        if (data.kind !== "latents")
          throw new ConfigError(
            "evaluation.features: pooled-latents are of data.captions; name pixels instead.",
          );
        return pooledLatents(data);
      }
      if (name === "pixels") {
        if (data.kind === "latents")
          throw new ConfigError(
            "evaluation.features: the pixels of pictures behind latents are too many; name pooled-latents or a module of your own.",
          );
        const dimensions = data.shape.reduce((product, n) => product * n, 1);
        return {
          name: data.kind === "points" ? "coordinates" : "pixels",
          features: ({ values, count }) => ({ values, count, dimensions }),
        };
      }
      if (name !== "classifier") return userExtractor(name, data);
      if (!classifier)
        throw new ConfigError(
          "evaluation.features: a classifier takes images with labels; name pixels instead.",
        );
      return {
        name,
        features: (examples) => ({
          values: inPieces(examples, data.shape, (x) => classifier.features(x)),
          count: examples.count,
          dimensions: classifier.featureSize,
        }),
      };
    }),
  );
}

/** Refuses, before anything is trained, what can't extract features of this data. @throws ConfigError naming it */
export async function checkExtractors(
  names: readonly string[] | undefined,
  data: DistillData,
): Promise<void> {
  if (names?.includes("classifier") && !wantsClassifier(names, data))
    throw new ConfigError("evaluation.features: a classifier takes images with labels; name pixels instead.");
  await extractorsOf(
    (names ?? []).filter((name) => name !== "classifier"),
    data,
    undefined,
  );
}

/** Whether a run needs the classifier at all. */
export const wantsClassifier = (
  names: readonly string[] | undefined,
  { kind, classes }: DistillData,
): boolean => kind === "images" && classes > 1 && (names === undefined || names.includes("classifier"));
