import type { CheckpointTensor } from "../checkpoint.ts";
import type { ParameterSpec } from "../family.ts";
import type { EncoderConfig } from "./encoder-config.ts";
import { encoderFamilyOf } from "./encoder-families.ts";

/** Every parameter of an encoder by its Hugging Face name, head and pooler included where the config has them. */
export function encoderParameters(config: EncoderConfig): Map<string, ParameterSpec> {
  const { names, head } = encoderFamilyOf(config.modelType);
  const { hiddenSize: size, intermediateSize: wide, initializerRange: std } = config;
  const specs = new Map<string, ParameterSpec>();
  const table = (module: string, rows: number) =>
    specs.set(`${module}.weight`, { shape: [rows, size], initial: { std } });
  const linear = (module: string, [outputs, inputs]: [number, number]) =>
    specs
      .set(`${module}.weight`, { shape: [outputs, inputs], initial: { std } })
      .set(`${module}.bias`, { shape: [outputs], initial: "zeros" });
  const norm = (module: string) =>
    specs
      .set(`${module}.weight`, { shape: [size], initial: "ones" })
      .set(`${module}.bias`, { shape: [size], initial: "zeros" });
  table(names.words, config.vocabularySize);
  table(names.positions, config.positions);
  if (config.tokenTypes > 0) table(names.types, config.tokenTypes);
  norm(names.embeddingNorm);
  for (let layer = 0; layer < config.layers; layer++) {
    const at = names.layer(layer);
    for (const module of [names.query, names.key, names.value, names.output])
      linear(at + module, [size, size]);
    norm(at + names.attentionNorm);
    linear(at + names.up, [wide, size]);
    linear(at + names.down, [size, wide]);
    norm(at + names.outputNorm);
  }
  if (config.pooler) linear(names.pooler, [size, size]);
  if (config.head) {
    if (head.dense) linear(head.dense.module, [size, size]);
    linear(head.output, [config.head.labels.length, size]);
  }
  return specs;
}

/** The modules of a head, the pooler before it included, from the first to the last. */
export function headModules({ modelType }: Pick<EncoderConfig, "modelType">): string[] {
  const { names, head } = encoderFamilyOf(modelType);
  return [names.pooler, ...(head.dense ? [head.dense.module] : []), head.output];
}

/** Whether a parameter belongs to the head, or to the pooler before it. */
export const isHeadName = (config: EncoderConfig, name: string): boolean =>
  headModules(config).some((module) => name.startsWith(`${module}.`));

/** Tensors of heads that pre-training or other tasks leave behind, and buffers. */
const foreign =
  /^(cls\.|lm_head\.|qa_outputs\.|vocab_transform\.|vocab_layer_norm\.|vocab_projector\.)|embeddings\.(position_ids|token_type_ids)$/;

/**
 * The name that a checkpoint's tensor has here: with the family's prefix, which bare models leave out, and with `weight` and `bias`
 * where conversions from TensorFlow 1 left `gamma` and `beta`; undefined for what is no parameter of an encoder or its head.
 */
export function canonicalEncoderName(modelType: string, name: string): string | undefined {
  const { names, head } = encoderFamilyOf(modelType);
  if (foreign.test(name)) return undefined;
  const modern = name
    .replace(/LayerNorm\.gamma$/, "LayerNorm.weight")
    .replace(/LayerNorm\.beta$/, "LayerNorm.bias");
  const own = [names.prefix, `${head.output}.`, ...(head.dense ? [`${head.dense.module}.`] : [])];
  return own.some((start) => modern.startsWith(start)) ? modern : names.prefix + modern;
}

/** A checkpoint's tensors under their names here; what is no parameter is left out. */
export function encoderTensors(modelType: string, tensors: Iterable<CheckpointTensor>): CheckpointTensor[] {
  return Array.from(tensors).flatMap((tensor) => {
    const name = canonicalEncoderName(modelType, tensor.name);
    return name === undefined ? [] : [{ ...tensor, name }];
  });
}
