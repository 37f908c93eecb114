import { chosenLayers, renamedParameters, renameLayers, type SelectLayersOptions } from "../select-layers.ts";
import type { Encoder } from "./encoder.ts";
import { encoderFamilyOf } from "./encoder-families.ts";

/**
 * A student of an encoder: some of its layers, by count (spread evenly) or index, with embeddings, pooler and head; a copy.
 *
 * @throws when a layer is not there
 */
export function selectEncoderLayers(
  model: Encoder,
  layers: number | readonly number[],
  { trainable = true }: SelectLayersOptions = {},
): Encoder {
  const { config, tokenizer } = model;
  const chosen = chosenLayers(config.layers, layers);
  const rename = renameLayers(encoderFamilyOf(config.modelType).names.layer, config.layers, chosen);
  return {
    config: { ...config, layers: chosen.length },
    parameters: renamedParameters(model, rename, trainable),
    ...(tokenizer && { tokenizer }),
  };
}
