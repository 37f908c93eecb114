import type { Checkpoint, CheckpointTensor } from "../checkpoint.ts";
import { configFromHuggingFace } from "../families.ts";
import { huggingFaceTokenizer } from "../tokenizer/hugging-face-tokenizer.ts";
import type { ByteSource } from "./byte-source.ts";
import { ggufHuggingFaceConfig } from "./config.ts";
import { dequantize } from "./dequantize.ts";
import { type GgufHeader, type GgufTensor, readGgufHeader } from "./header.ts";
import { metadataReader } from "./metadata.ts";
import { interleavedToHalves, transpose } from "./rotary-rows.ts";
import { ggufArchitectures, huggingFaceName } from "./tensor-names.ts";
import { ggufTokenizerFiles } from "./tokenizer.ts";

const ropeFrequencies = "rope_freqs.weight";
const head = "output.weight";

/** Some files of tied models repeat the embedding table as the head, which is then no parameter of its own. */
async function repeatsTable(source: ByteSource, header: GgufHeader): Promise<boolean> {
  const [table, output] = [header.tensors.get("token_embd.weight"), header.tensors.get(head)];
  if (!table || !output || table.type !== output.type || table.bytes !== output.bytes) return false;
  const step = 1 << 22;
  for (let at = 0; at < table.bytes; at += step) {
    const length = Math.min(step, table.bytes - at);
    const a = await source.read(table.offset + at, length);
    const b = await source.read(output.offset + at, length);
    if (a.some((byte, i) => byte !== b[i])) return false;
  }
  return true;
}

/**
 * A language model in a GGUF file (version 1, 2 or 3) under its Hugging Face names; tensors are read when asked.
 *
 * @throws Error naming the file and what in it can't be read.
 */
export async function openGguf(source: ByteSource): Promise<Checkpoint> {
  try {
    return await open(source);
  } catch (error) {
    const { message } = error as Error;
    if (message.startsWith(`${source.name}: `)) throw error;
    throw new Error(`${source.name}: ${message}`, { cause: error });
  }
}

async function open(source: ByteSource): Promise<Checkpoint> {
  const header = await readGgufHeader(source);
  const get = metadataReader(header, source);
  const architecture = get.text("general.architecture");
  if (!ggufArchitectures.includes(architecture))
    throw new Error(
      `${source.name}: the architecture "${architecture}" can't be read, only ${ggufArchitectures.join(", ")}`,
    );
  const parts = get.number("split.count", 1);
  if (parts > 1)
    throw new Error(
      `${source.name}: one of ${parts} parts of a model; join them with llama.cpp's gguf-split --merge`,
    );
  const values = async ({ offset, bytes, type }: GgufTensor) =>
    dequantize(await source.read(offset, bytes), type);
  const frequencies = header.tensors.get(ropeFrequencies);
  const tied = !header.tensors.has(head) || (await repeatsTable(source, header));
  const huggingFace = ggufHuggingFaceConfig(get, header, {
    tied,
    ...(frequencies && { ropeFactors: await values(frequencies) }),
  });
  const config = configFromHuggingFace(huggingFace);
  const files = ggufTokenizerFiles(get);

  const tensors: CheckpointTensor[] = [];
  for (const tensor of header.tensors.values()) {
    if (tensor.name === ropeFrequencies || (tied && tensor.name === head)) continue;
    const named = huggingFaceName(tensor.name, architecture);
    if (!named)
      throw new Error(
        `${source.name}: a model of the architecture ${architecture} has no tensor ${tensor.name}`,
      );
    const { name, reordering } = named;
    const rows = tensor.shape[0] ?? 0;
    tensors.push({
      name,
      shape: reordering === "transpose" ? tensor.shape.toReversed() : tensor.shape,
      read: async () => {
        const data = await values(tensor);
        if (reordering === "query") return interleavedToHalves(data, config.heads, rows);
        if (reordering === "key") return interleavedToHalves(data, config.kvHeads, rows);
        return reordering === "transpose" ? transpose(data, rows) : data;
      },
    });
  }
  return {
    config,
    tensors,
    ...(files && { tokenizer: huggingFaceTokenizer(files) }),
    ...(source.close && { close: source.close }),
  };
}
