import type { ParameterSpec } from "../family.ts";
import type { T5Config } from "./t5-config.ts";

/** Of one stack: the table of biases by distance, which its first layer holds and all share. */
export const distanceTable = (stack: "encoder" | "decoder"): string =>
  `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;

/** Every parameter of a T5 by its Hugging Face name, with the deviations that Hugging Face starts them by. */
export function t5Parameters(config: T5Config): Map<string, ParameterSpec> {
  const { hiddenSize: size, headSize, heads, intermediateSize: wide, initializerFactor: factor } = config;
  const inner = heads * headSize;
  const specs = new Map<string, ParameterSpec>();
  const weight = (module: string, shape: [number, number], std: number) =>
    specs.set(`${module}.weight`, { shape, initial: { std: factor * std } });
  const norm = (module: string) => specs.set(`${module}.weight`, { shape: [size], initial: "ones" });
  const attention = (module: string) => {
    weight(`${module}.q`, [inner, size], (size * headSize) ** -0.5);
    weight(`${module}.k`, [inner, size], size ** -0.5);
    weight(`${module}.v`, [inner, size], size ** -0.5);
    weight(`${module}.o`, [size, inner], inner ** -0.5);
  };
  const feedForward = (module: string) => {
    for (const name of config.gated ? ["wi_0", "wi_1"] : ["wi"])
      weight(`${module}.${name}`, [wide, size], size ** -0.5);
    weight(`${module}.wo`, [size, wide], wide ** -0.5);
  };
  weight("shared", [config.vocabularySize, size], 1);
  for (const stack of ["encoder", "decoder"] as const) {
    specs.set(distanceTable(stack), {
      shape: [config.distanceBuckets, heads],
      initial: { std: factor * size ** -0.5 },
    });
    const layers = stack === "encoder" ? config.layers : config.decoderLayers;
    for (let layer = 0; layer < layers; layer++) {
      const at = `${stack}.block.${layer}.layer`;
      const last = stack === "encoder" ? 1 : 2;
      attention(`${at}.0.SelfAttention`);
      norm(`${at}.0.layer_norm`);
      if (stack === "decoder") {
        attention(`${at}.1.EncDecAttention`);
        norm(`${at}.1.layer_norm`);
      }
      feedForward(`${at}.${last}.DenseReluDense`);
      norm(`${at}.${last}.layer_norm`);
    }
    norm(`${stack}.final_layer_norm`);
  }
  if (!config.tiedHead) weight("lm_head", [config.vocabularySize, size], 1);
  return specs;
}

/** Copies of the shared table, and a bias that no layer reads, which old checkpoints hold. */
const superfluous =
  /^(encoder|decoder)\.embed_tokens\.weight$|EncDecAttention\.relative_attention_bias\.weight$/;

/** Whether a checkpoint's tensor is a parameter of a T5. */
export const isT5Parameter = (name: string): boolean => !superfluous.test(name);
