import { chosenLayers, renamedParameters, renameLayers, type SelectLayersOptions } from "../select-layers.ts";
import type { T5 } from "./t5-model.ts";
import { distanceTable } from "./t5-parameters.ts";

/** Which layers of each stack, by count (spread evenly) or index; one answer for both where they are equally deep. */
export type T5Layers =
  | number
  | readonly number[]
  | { encoder: number | readonly number[]; decoder: number | readonly number[] };

/**
 * A student of a T5: some layers of its encoder and decoder, with embeddings, norms, head and the tables of distances, whichever layers
 * stay; a copy.
 *
 * @throws when a layer is not there
 */
export function selectT5Layers(
  model: T5,
  layers: T5Layers,
  { trainable = true }: SelectLayersOptions = {},
): T5 {
  const { config, tokenizer } = model;
  const both =
    typeof layers === "object" && "encoder" in layers ? layers : { encoder: layers, decoder: layers };
  const encoder = chosenLayers(config.layers, both.encoder);
  const decoder = chosenLayers(config.decoderLayers, both.decoder);
  const prefix = (stack: string) => (index: number) => `${stack}.block.${index}.`;
  const renames = [
    renameLayers(prefix("encoder"), config.layers, encoder),
    renameLayers(prefix("decoder"), config.decoderLayers, decoder),
  ];
  // The first layer holds its stack's table, also where it is another one in the student.
  const tables = new Set([distanceTable("encoder"), distanceTable("decoder")]);
  const rename = (name: string) =>
    tables.has(name)
      ? name
      : renames.reduce<string | undefined>((before, each) => before && each(before), name);
  return {
    config: { ...config, layers: encoder.length, decoderLayers: decoder.length },
    parameters: renamedParameters(model, rename, trainable),
    ...(tokenizer && { tokenizer }),
  };
}
