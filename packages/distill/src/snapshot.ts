import { encodeSafetensors, parseSafetensors } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** All that a run needs to go on exactly: numbers by name, and what is not numbers as JSON. */
export interface Snapshot {
  tensors: Map<string, { shape: number[]; values: Float32Array }>;
  json: Record<string, unknown>;
}

/** Copies tensors to the host under a prefix. */
export async function saveTensors(
  into: Snapshot,
  prefix: string,
  tensors: ReadonlyMap<string, tf.Tensor>,
): Promise<void> {
  for (const [name, tensor] of tensors)
    into.tensors.set(`${prefix}${name}`, {
      shape: [...tensor.shape],
      values: Float32Array.from(await tensor.data()),
    });
}

/** The tensors under a prefix, which is taken off; the caller disposes of them. */
export function tensorsUnder(snapshot: Snapshot, prefix: string): Map<string, tf.Tensor> {
  const found = new Map<string, tf.Tensor>();
  for (const [name, { shape, values }] of snapshot.tensors)
    if (name.startsWith(prefix)) found.set(name.slice(prefix.length), tf.tensor(values, shape));
  return found;
}

/**
 * Puts saved values into variables.
 *
 * @throws naming the first one that is missing or of another shape
 */
export function loadVariables(
  snapshot: Snapshot,
  prefix: string,
  variables: ReadonlyMap<string, tf.Variable>,
): void {
  for (const [name, variable] of variables) {
    const saved = snapshot.tensors.get(`${prefix}${name}`);
    if (!saved || saved.shape.join() !== variable.shape.join())
      throw new Error(
        `load: the snapshot ${saved ? `has ${prefix}${name} in shape [${saved.shape}], not [${variable.shape}]` : `holds no ${prefix}${name}`}; it belongs to other nets.`,
      );
  }
  for (const [name, variable] of variables) {
    const { values, shape } = snapshot.tensors.get(`${prefix}${name}`)!;
    tf.tidy(() => variable.assign(tf.tensor(values, shape)));
  }
}

/** A snapshot as one safetensors file. */
export function encodeSnapshot(snapshot: Snapshot): Promise<Uint8Array> {
  return encodeSafetensors(
    [...snapshot.tensors].map(([name, { shape, values }]) => ({ name, dtype: "F32", shape, data: values })),
    { snapshot: JSON.stringify(snapshot.json) },
  );
}

/** @throws SafetensorsError on a damaged file; Error on one that holds no snapshot */
export function decodeSnapshot(file: Uint8Array): Snapshot {
  const parsed = parseSafetensors(file, "snapshot");
  const text = parsed.metadata.snapshot;
  if (text === undefined) throw new Error("decodeSnapshot: this safetensors file holds no snapshot.");
  const tensors: Snapshot["tensors"] = new Map();
  for (const [name, { shape }] of parsed.tensors)
    tensors.set(name, { shape: [...shape], values: parsed.readFloat32(name) });
  return { tensors, json: JSON.parse(text) as Record<string, unknown> };
}
