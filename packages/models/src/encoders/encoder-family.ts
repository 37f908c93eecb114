import type { Json } from "../json-field.ts";
import type { EncoderConfig } from "./encoder-config.ts";

/** Where a family keeps the modules of an encoder; those of a layer without its prefix. */
export interface EncoderNames {
  /** Of everything but the head, with its dot; Hugging Face's bare models leave it out. */
  prefix: string;
  words: string;
  positions: string;
  types: string;
  embeddingNorm: string;
  layer(index: number): string;
  query: string;
  key: string;
  value: string;
  output: string;
  attentionNorm: string;
  up: string;
  down: string;
  outputNorm: string;
  pooler: string;
}

/** How a head computes its logits from the first token's state, or from what the pooler makes of it. */
export interface HeadShape {
  pooled: boolean;
  /** Whether dropout comes before the layer of its own as well as before the last. */
  dropsInput?: boolean;
  /** A layer of its own before the last. */
  dense?: { module: string; activation: "tanh" | "relu" };
  output: string;
  /** What an adapter for a task trains whole, as PEFT's `modules_to_save` name it. */
  modulesToSave: string[];
}

/** Everything that sets one family of encoders apart. */
export interface EncoderFamily {
  /** Reads a `config.json`, its head as the labels describe it. @throws naming the key that is missing or wrong. */
  configFrom(json: Json): EncoderConfig;
  /** The `config.json` that describes a config. */
  configJson(config: EncoderConfig): Json;
  names: EncoderNames;
  head: HeadShape;
  /** Whether dropout is on what attention adds, as on what the feed-forward block adds. */
  dropsAttended: boolean;
  /** Last components of the modules that LoRA adapts by default: queries and values, as in PEFT. */
  loraTargets: string[];
}
