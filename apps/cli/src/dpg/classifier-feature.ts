import { classifier, type Feature } from "@fdiv/dpg";
import { classifyTexts } from "@fdiv/models";
import { loadEncoder } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import type { FeatureConfig } from "../config/feature-schema.ts";
import type { Text } from "./text-model.ts";

/** What a classifier of `models` says of a text; it stays in memory as long as the command runs. */
export async function classifierFeature({
  model: path,
  label,
  log,
}: NonNullable<FeatureConfig["classifier"]>): Promise<Feature<Text>> {
  const model = await loadEncoder(path, { trainable: false });
  const { head } = model.config;
  if (!head || !model.tokenizer)
    throw new ConfigError(`classifier: ${path} has no ${head ? "tokenizer" : "head that classifies"}.`);
  if (head.task === "regression")
    throw new ConfigError(`classifier: ${path} is a regression; use a module that calls classifyTexts.`);
  const index = typeof label === "number" ? label : head.labels.indexOf(label);
  if (!(index >= 0 && index < head.labels.length))
    throw new ConfigError(`classifier: ${path} has no label ${label}; it has ${head.labels.join(", ")}.`);
  return classifier((texts) => classifyTexts(model, texts), {
    label: index,
    log,
    name: `${head.labels[index]} by ${path}`,
  });
}
