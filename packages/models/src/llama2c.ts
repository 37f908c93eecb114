import type { Checkpoint, CheckpointTensor } from "./checkpoint.ts";
import { type CausalLmConfig, causalLmConfig } from "./config.ts";
import type { ByteSource } from "./gguf/byte-source.ts";
import { halvesToInterleaved, interleavedToHalves } from "./gguf/rotary-rows.ts";
import { parseLlama2cTokenizer } from "./llama2c-tokenizer.ts";
import { huggingFaceTokenizer } from "./tokenizer/hugging-face-tokenizer.ts";
import { sentencePieceFiles } from "./tokenizer/sentence-piece.ts";

const headerBytes = 28;
/** What llama2.c has fixed in its code. */
const normEpsilon = 1e-5;
const ropeTheta = 10000;

interface Slot {
  name: string;
  shape: number[];
  /** Heads whose rows llama2.c rotates by interleaved pairs. */
  rotated?: number;
}

/** Every tensor in the order of the file; null stands for the two rotary tables, which are skipped. */
function* slots(config: CausalLmConfig): Iterable<Slot | null> {
  const {
    layers,
    hiddenSize: dim,
    intermediateSize: wide,
    heads,
    kvHeads,
    headSize,
    vocabularySize,
  } = config;
  const each = function* (name: string, shape: number[], rotated?: number): Iterable<Slot> {
    for (let layer = 0; layer < layers; layer++)
      yield { name: `model.layers.${layer}.${name}.weight`, shape, ...(rotated && { rotated }) };
  };
  yield { name: "model.embed_tokens.weight", shape: [vocabularySize, dim] };
  yield* each("input_layernorm", [dim]);
  yield* each("self_attn.q_proj", [heads * headSize, dim], heads);
  yield* each("self_attn.k_proj", [kvHeads * headSize, dim], kvHeads);
  yield* each("self_attn.v_proj", [kvHeads * headSize, dim]);
  yield* each("self_attn.o_proj", [dim, heads * headSize]);
  yield* each("post_attention_layernorm", [dim]);
  yield* each("mlp.gate_proj", [wide, dim]);
  yield* each("mlp.down_proj", [dim, wide]);
  yield* each("mlp.up_proj", [wide, dim]);
  yield { name: "model.norm.weight", shape: [dim] };
  yield null;
  if (!config.tiedHead) yield { name: "lm_head.weight", shape: [vocabularySize, dim] };
}

const sizeOf = (shape: number[]) => shape.reduce((product, d) => product * d, 1);

function floats(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/**
 * A model in llama2.c's `.bin` (version 0, float32) under Hugging Face's names; tensors are read when asked.
 *
 * `tokenizer` are the bytes of the `tokenizer.bin` beside it. https://github.com/karpathy/llama2.c
 * @throws Error where the header and the file's size don't agree.
 */
export async function openLlama2c(
  source: ByteSource,
  tokenizer?: { bytes: Uint8Array; name: string },
): Promise<Checkpoint> {
  if (source.size < headerBytes) throw new Error(`${source.name}: too short for a llama2.c header`);
  const header = await source.read(0, headerBytes);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [dim, wide, layers, heads, kvHeads, vocabulary, positions] = Array.from({ length: 7 }, (_, i) =>
    view.getInt32(4 * i, true),
  ) as [number, number, number, number, number, number, number];
  if (view.getUint32(0, true) === 0x616b3432)
    throw new Error(`${source.name}: a newer llama2.c file; only version 0 can be read`);
  let config: CausalLmConfig;
  try {
    config = causalLmConfig({
      modelType: "llama",
      vocabularySize: Math.abs(vocabulary),
      hiddenSize: dim,
      intermediateSize: wide,
      layers,
      heads,
      kvHeads,
      maxPositions: positions,
      normEpsilon,
      ropeTheta,
      tiedHead: vocabulary > 0,
      bosId: 1,
      eosIds: [2],
    });
  } catch (error) {
    throw new Error(`${source.name}: not a llama2.c model: ${(error as Error).message}`, { cause: error });
  }

  const tensors: CheckpointTensor[] = [];
  let at = headerBytes;
  for (const slot of slots(config)) {
    if (slot === null) {
      at += 4 * positions * config.headSize;
      continue;
    }
    const { name, shape, rotated } = slot;
    const [offset, length] = [at, 4 * sizeOf(shape)];
    at += length;
    tensors.push({
      name,
      shape,
      read: async () => {
        const values = floats(await source.read(offset, length));
        return rotated ? interleavedToHalves(values, rotated, shape[0]!) : values;
      },
    });
  }
  if (at !== source.size)
    throw new Error(
      `${source.name}: the llama2.c header asks for ${at} bytes, and the file has ${source.size}; ` +
        (at > source.size ? "is it truncated?" : "is it another format?"),
    );
  const pieces = tokenizer && parseLlama2cTokenizer(tokenizer.bytes, config.vocabularySize, tokenizer.name);
  return {
    config,
    tensors,
    ...(pieces && { tokenizer: huggingFaceTokenizer(sentencePieceFiles(pieces)) }),
    ...(source.close && { close: source.close }),
  };
}

function refuseWhatLlama2cFixes(config: CausalLmConfig): void {
  const wants: [boolean, string][] = [
    [config.modelType === "llama" || config.modelType === "mistral", `the model type ${config.modelType}`],
    [config.headSize * config.heads === config.hiddenSize, "heads that don't add up to the hidden size"],
    [config.ropeTheta === ropeTheta, `a rotary base of ${config.ropeTheta} (only ${ropeTheta})`],
    [config.ropeScaling === undefined, "rotary scaling"],
    [config.normEpsilon === normEpsilon, `a norm epsilon of ${config.normEpsilon} (only ${normEpsilon})`],
    [!config.attentionBias && !config.mlpBias, "biases"],
    [config.activation === "silu", `the activation ${config.activation}`],
    [config.rotarySize === config.headSize, "heads that rotate in part"],
    [config.slidingWindows.every((w) => w === 0 || w >= config.maxPositions), "sliding windows"],
  ];
  const refused = wants.filter(([fine]) => !fine).map(([, what]) => what);
  if (refused.length > 0) throw new Error(`llama2.c's format can't hold ${refused.join(", nor ")}`);
}

/** The rotary tables (cosines, then sines) that old readers expect and new ones skip. */
function rotaryTables({ maxPositions, headSize }: CausalLmConfig): Float32Array {
  const half = headSize / 2;
  const angle = (i: number) => Math.floor(i / half) * ropeTheta ** ((-2 * (i % half)) / headSize);
  const size = maxPositions * half;
  return Float32Array.from({ length: 2 * size }, (_, i) =>
    i < size ? Math.cos(angle(i)) : Math.sin(angle(i - size)),
  );
}

/**
 * A checkpoint as the chunks of a llama2.c `.bin` (version 0), one tensor in memory at a time.
 *
 * @throws Error naming what of the model llama2.c has no place for.
 */
export async function* encodeLlama2c({ config, tensors }: Checkpoint): AsyncGenerator<Uint8Array> {
  refuseWhatLlama2cFixes(config);
  const header = Int32Array.of(
    config.hiddenSize,
    config.intermediateSize,
    config.layers,
    config.heads,
    config.kvHeads,
    config.tiedHead ? config.vocabularySize : -config.vocabularySize,
    config.maxPositions,
  );
  yield littleEndian(header, (view, i, value) => view.setInt32(i, value, true));
  const float = (view: DataView, i: number, value: number) => view.setFloat32(i, value, true);
  const byName = new Map(Array.from(tensors, (tensor) => [tensor.name, tensor]));
  for (const slot of slots(config)) {
    if (slot === null) {
      yield littleEndian(rotaryTables(config), float);
      continue;
    }
    const values = await byName.get(slot.name)?.read();
    if (values?.length !== sizeOf(slot.shape))
      throw new Error(`the checkpoint has no tensor ${slot.name} of shape [${slot.shape}]`);
    yield littleEndian(
      slot.rotated ? halvesToInterleaved(values, slot.rotated, slot.shape[0]!) : values,
      float,
    );
  }
}

function littleEndian(
  values: Float32Array | Int32Array,
  set: (view: DataView, at: number, value: number) => void,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (let i = 0; i < values.length; i++) set(view, 4 * i, values[i]!);
  return new Uint8Array(view.buffer);
}
