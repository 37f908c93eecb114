import { pathToFileURL } from "node:url";
import type { FeatureSet } from "@fdiv/metrics";
import type { ImageClassifier } from "@fdiv/models";
import { ConfigError } from "../config/config-file.ts";
import type { DistillData, Examples } from "./distill-data.ts";
import { inPieces } from "./train-classifier.ts";

/** Examples to features, by a name that a measure is reported under. */
export interface Extractor {
  name: string;
  features(examples: Examples): Promise<FeatureSet> | FeatureSet;
}

type UserFunction = (
  values: Float32Array,
  count: number,
  shape: readonly number[],
) =>
  | Promise<{ values: ArrayLike<number>; dimensions: number }>
  | { values: ArrayLike<number>; dimensions: number };

async function userExtractor(path: string, shape: readonly number[]): Promise<Extractor> {
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
    async features({ values, count }) {
      const made = await (found as UserFunction)(values, count, shape);
      if (!Number.isSafeInteger(made?.dimensions) || made.values?.length !== count * made.dimensions)
        throw new ConfigError(
          `evaluation.features: ${path} gave ${made?.values?.length} values for ${count} examples of ${made?.dimensions} dimensions.`,
        );
      return { values: made.values, count, dimensions: made.dimensions };
    },
  };
}

/** The feature extractors that a configuration names; without names, the classifier where there is one, else the values themselves. */
export async function extractorsOf(
  names: readonly string[] | undefined,
  data: DistillData,
  classifier: ImageClassifier | undefined,
): Promise<Extractor[]> {
  const chosen = names ?? [classifier ? "classifier" : "pixels"];
  return Promise.all(
    chosen.map(async (name): Promise<Extractor> => {
      if (name === "pixels") {
        const dimensions = data.shape.reduce((product, n) => product * n, 1);
        return {
          name: data.kind === "points" ? "coordinates" : "pixels",
          features: ({ values, count }) => ({ values, count, dimensions }),
        };
      }
      if (name !== "classifier") return userExtractor(name, data.shape);
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

/** Whether a run needs the classifier at all. */
export const wantsClassifier = (
  names: readonly string[] | undefined,
  { kind, classes }: DistillData,
): boolean => kind === "images" && classes > 1 && (names === undefined || names.includes("classifier"));
