import {
  balancedBrackets,
  containsWord,
  type Feature,
  feature,
  length,
  lexicon,
  matches,
  validJson,
} from "@fdiv/dpg";
import { ConfigError } from "../config/config-file.ts";
import type { FeatureConfig } from "../config/feature-schema.ts";
import { loadReward } from "../rewards/load-reward.ts";
import { sentiment } from "../rewards/sentiment.ts";
import { classifierFeature } from "./classifier-feature.ts";
import type { Prompt, Text } from "./language-policy.ts";

async function unnamed(config: FeatureConfig): Promise<Feature<Text, Prompt>> {
  const { word, words, measure, regex, length: unit, json, module } = config;
  if (word !== undefined) return containsWord(word);
  if (words !== undefined)
    return lexicon(words, { measure: measure ?? (Array.isArray(words) ? "any" : "sum") });
  if (regex !== undefined) return matches(pattern(regex));
  if (unit !== undefined) return length(unit);
  if (json !== undefined) return validJson(Array.isArray(json) ? { kinds: json } : {});
  if (config.classifier) return classifierFeature(config.classifier);
  if (config.brackets) return balancedBrackets();
  if (config.sentiment) return feature(({ text }: Text) => sentiment(text), { name: "sentiment" });
  const reward = await loadReward(module!);
  return feature(({ text }: Text, { text: prompt }: Prompt) => reward(text, prompt), { name: module! });
}

function pattern(source: string): RegExp {
  try {
    return new RegExp(source, "u");
  } catch (error) {
    throw new ConfigError(`regex: ${(error as Error).message}`);
  }
}

/** A feature as the configuration has it, under the name that it is reported by. */
export async function featureOf(config: FeatureConfig): Promise<Feature<Text, Prompt>> {
  const made = await unnamed(config);
  return config.name === undefined ? made : { ...made, name: config.name };
}
