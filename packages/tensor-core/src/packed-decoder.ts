import * as tf from "@tensorflow/tfjs-core";
import type { Decoder, DecoderLayer, DecoderLinear } from "./decoder-step.ts";
import { isHalfWeight } from "./half-weights.ts";
import { defineKernel, hasFastKernel } from "./kernel.ts";

/**
 * FdivPanels: a weight copied into panels of neighbouring outputs, [panels, inputs, outputs of a panel], the last one filled up with
 * zeros, so that a step reads it as one stream. How wide a panel is the backend decides; the twin's hold one output.
 */
export const panelsKernel = defineKernel<{ weight: tf.Tensor }, { transposed: boolean }>({
  name: "FdivPanels",
  generic: ({ weight }, { transposed }) =>
    tf.expandDims(transposed ? tf.add(weight, 0) : tf.transpose(weight), 2),
});

/** A weight [inputs, outputs] out of its panels. */
export function fromPanels(panels: tf.Tensor, outputs: number): tf.Tensor {
  const [count, inputs, width] = panels.shape as [number, number, number];
  const filled = tf.reshape(tf.transpose(panels, [1, 0, 2]), [inputs, count * width]);
  return count * width === outputs ? filled : tf.slice(filled, [0, 0], [inputs, outputs]);
}

/** A decoder whose weights lie in panels of their own, which `dispose` frees; the weights they were copied from are the caller's. */
export interface PackedDecoder {
  decoder: Decoder;
  dispose(): void;
}

/** From how many rows on a step gains by it, and after how many steps the copying has paid. */
const worthwhile = { rows: 4, steps: 16 };
/** A model larger than this is read where it lies: twice in memory it would cost more than it gains. */
const mostBytes = 2 ** 29;

/** Most outputs of a panel on any backend. */
const widestPanel = 16;

/** Whether queries, keys and values out of one product begin where panels do. */
function splitsByPanels({ layers, heads, kvHeads }: Decoder): boolean {
  const kvWidth = layers[0]!.keys.shape[2]!;
  return [kvWidth, (kvWidth / kvHeads) * heads].every((width) => width % widestPanel === 0);
}

/** A layer's modules that multiply. */
const moduleNames = ["output", "gate", "up", "down"] as const;
const modulesOf = (layer: DecoderLayer): DecoderLinear[] => [
  ...layer.projections,
  ...moduleNames.flatMap((name) => layer[name] ?? []),
];

/**
 * Copies a decoder's weights into the order in which a step reads them, for `steps` steps of `rows` rows; where the backend has no such order,
 * the weights are in bfloat16 or it would not pay, the decoder is given back as it is.
 *
 * A weight that changes later is not seen.
 */
export function packDecoder(
  decoder: Decoder,
  { rows, steps }: { rows: number; steps: number },
): PackedDecoder {
  const weights = [
    decoder.head,
    ...decoder.layers.flatMap((layer) => modulesOf(layer).map(({ weight }) => weight)),
  ];
  const bytes = weights.reduce((sum, { size }) => sum + 4 * size, 0);
  const fits =
    hasFastKernel("FdivPanels") &&
    rows >= worthwhile.rows &&
    steps >= worthwhile.steps &&
    bytes <= mostBytes &&
    decoder.head.shape[0] === decoder.embedding.shape[0] &&
    !weights.some(isHalfWeight) &&
    (decoder.layers[0]!.projections.length === 3 || splitsByPanels(decoder));
  if (!fits) return { decoder, dispose: () => undefined };
  const made: tf.Tensor[] = [];
  const packed = (weight: tf.Tensor, transposed: boolean): tf.Tensor => {
    const panels = tf.keep(panelsKernel({ weight }, { transposed })[0]!);
    made.push(panels);
    return panels;
  };
  const module = ({ weight, bias }: DecoderLinear): DecoderLinear => ({
    weight: packed(weight, decoder.transposeWeight),
    bias,
  });
  const layers = decoder.layers.map(
    (layer): DecoderLayer => ({
      ...layer,
      projections: layer.projections.map(module),
      output: module(layer.output),
      ...(layer.gate && { gate: module(layer.gate) }),
      up: module(layer.up),
      down: module(layer.down),
    }),
  );
  return {
    decoder: { ...decoder, layers, head: packed(decoder.head, true) },
    dispose: () => tf.dispose(made),
  };
}
