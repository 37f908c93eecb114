import { type CausalLm, copyModel, disposeModel, unfreeze } from "@fdiv/models";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";

/** Layers of a teacher: those named, or so many, evenly spaced, the first and the last among them. */
export function layersOf(wanted: number | readonly number[], all: number): number[] {
  const chosen =
    typeof wanted === "number"
      ? Array.from({ length: wanted }, (_, i) =>
          Math.round(wanted === 1 ? 0 : (i * (all - 1)) / (wanted - 1)),
        )
      : [...wanted];
  const wrong = chosen.find((layer) => layer >= all);
  if (wrong !== undefined || new Set(chosen).size !== chosen.length)
    throw new ConfigError(
      `student.layers: ${JSON.stringify(wanted)} of a teacher with ${all} layers, numbered from 0; each can be taken once.`,
    );
  return chosen;
}

const layerName = /^((?:.*\.)?(?:layers?|h|blocks?)\.)(\d+)(\..*)$/;

/** A trainable copy of a teacher with some of its layers, renumbered in order, and all else as it was. */
export function selectCausalLayers(teacher: CausalLm, wanted: number | readonly number[]): CausalLm {
  const chosen = layersOf(wanted, teacher.config.layers);
  const copy = copyModel(teacher);
  const parameters = new Map<string, tf.Tensor>();
  for (const [name, tensor] of copy.parameters) {
    const match = layerName.exec(name);
    const at = match ? chosen.indexOf(Number(match[2])) : -1;
    if (!match) parameters.set(name, tensor);
    else if (at >= 0) parameters.set(`${match[1]}${at}${match[3]}`, tensor);
    else tensor.dispose();
  }
  const { slidingWindows, attentionScales, huggingFace } = teacher.config;
  const pick = <T>(values: readonly T[]): T[] => chosen.map((layer) => values[layer]!);
  const student: CausalLm = {
    ...copy,
    parameters,
    config: {
      ...teacher.config,
      layers: chosen.length,
      slidingWindows: pick(slidingWindows),
      attentionScales: pick(attentionScales),
      // Written anew when the student is saved.
      huggingFace: withoutLayers(huggingFace),
    },
  };
  try {
    unfreeze(student);
    return student;
  } catch (error) {
    disposeModel(student);
    tf.dispose([...parameters.values()]);
    throw error;
  }
}

const withoutLayers = ({
  num_hidden_layers: _,
  n_layer: __,
  layer_types: ___,
  max_window_layers: ____,
  ...rest
}: Record<string, unknown>): Record<string, unknown> => rest;
