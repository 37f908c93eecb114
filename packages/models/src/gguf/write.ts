import type { Checkpoint, CheckpointTensor } from "../checkpoint.ts";
import {
  encodeFloats,
  encodeGgufHeader,
  type GgufFloat,
  type GgufTensorPlan,
  ggufBytes,
  ggufPadding,
} from "./encode.ts";
import { ggufArchitecture, modelMetadata, tokenizerMetadata } from "./from-config.ts";
import { frequencyFactors } from "./rope-factors.ts";
import { halvesToInterleaved, transpose } from "./rotary-rows.ts";
import { ggufName } from "./tensor-names.ts";

interface Planned extends GgufTensorPlan {
  values(): Promise<Float32Array>;
}

function plan(tensor: CheckpointTensor, { config }: Checkpoint, dtype: GgufFloat): Planned {
  const architecture = ggufArchitecture(config);
  const named = ggufName(tensor.name, architecture);
  if (!named) throw new Error(`GGUF has no name for the tensor ${tensor.name} of a ${architecture} model`);
  const { name, reordering } = named;
  const rows = tensor.shape[0] ?? 0;
  return {
    name,
    shape: reordering === "transpose" ? tensor.shape.toReversed() : tensor.shape,
    // llama.cpp computes with vectors (norms and biases) in full precision only.
    type: tensor.shape.length === 1 ? "F32" : dtype,
    values: async () => {
      const data = await tensor.read();
      if (reordering === "query") return halvesToInterleaved(data, config.heads, rows);
      if (reordering === "key") return halvesToInterleaved(data, config.kvHeads, rows);
      return reordering === "transpose" ? transpose(data, rows) : data;
    },
  };
}

/**
 * A checkpoint as the chunks of a GGUF file of version 3, one tensor in memory at a time.
 *
 * @throws Error where GGUF can't say what the model is.
 */
export async function* encodeGguf(
  checkpoint: Checkpoint,
  { dtype = "F32", name = "model" }: { dtype?: GgufFloat; name?: string } = {},
): AsyncGenerator<Uint8Array> {
  const { config, tokenizer } = checkpoint;
  const planned = Array.from(checkpoint.tensors, (tensor) => plan(tensor, checkpoint, dtype));
  if (config.ropeScaling?.type === "llama3") {
    const { factor, lowFrequencyFactor, highFrequencyFactor, originalMaxPositions } = config.ropeScaling;
    const scaling = {
      rope_type: "llama3" as const,
      factor,
      low_freq_factor: lowFrequencyFactor,
      high_freq_factor: highFrequencyFactor,
      original_max_position_embeddings: originalMaxPositions,
    };
    const values = frequencyFactors(scaling, config.headSize, config.ropeTheta);
    planned.push({
      name: "rope_freqs.weight",
      shape: [values.length],
      type: "F32",
      values: async () => values,
    });
  }
  const metadata = new Map([
    ...modelMetadata(config, name, dtype === "F16"),
    ...(tokenizer?.files ? tokenizerMetadata(tokenizer.files, config.vocabularySize) : []),
  ]);
  yield encodeGgufHeader(metadata, planned);
  for (const tensor of planned) {
    const bytes = encodeFloats(await tensor.values(), tensor.type);
    if (bytes.length !== ggufBytes(tensor))
      throw new Error(
        `the tensor ${tensor.name} has ${bytes.length} bytes, and its shape says ${ggufBytes(tensor)}`,
      );
    yield bytes;
    yield ggufPadding(bytes.length);
  }
}
