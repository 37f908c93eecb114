import type { CausalLmConfig } from "../config.ts";
import { preTokenizerName } from "../tokenizer/pre-tokenizer.ts";
import { isSentencePiece, piecesOf, sentencePiecesOf, specialsOf } from "../tokenizer/sentence-piece-of.ts";
import type { TokenizerFiles } from "../tokenizer/tokenizer.ts";
import type { GgufEntry } from "./encode.ts";

/** llama.cpp's name for a model's architecture. @throws where it has none that would compute the same. */
export function ggufArchitecture(config: CausalLmConfig): "llama" | "qwen2" | "gpt2" {
  const refuse = (what: string): never => {
    throw new Error(
      `GGUF has no place for ${what} of a ${config.modelType} model; save a Hugging Face folder instead`,
    );
  };
  const window = config.slidingWindows.find((size) => size > 0 && size < config.maxPositions);
  if (window !== undefined) refuse(`the sliding window (${window})`);
  if (config.modelType === "gpt2") {
    if (config.activation !== "geluTanh") refuse(`the activation ${config.activation}`);
    if (new Set(config.attentionScales).size > 1) refuse("the attention scaled by layer");
    return "gpt2";
  }
  if (config.activation !== "silu") refuse(`the activation ${config.activation}`);
  if (config.rotarySize !== config.headSize) refuse("heads that rotate in part");
  if (config.ropeScaling?.type === "dynamic") refuse("dynamic rotary scaling");
  return config.modelType === "qwen2" ? "qwen2" : "llama";
}

const u32 = (value: number): GgufEntry => ({ type: "u32", value });
const f32 = (value: number): GgufEntry => ({ type: "f32", value });
const text = (value: string): GgufEntry => ({ type: "text", value });

function scalingEntries(config: CausalLmConfig, architecture: string): [string, GgufEntry][] {
  const scaling = config.ropeScaling;
  // Llama 3's goes into the tensor rope_freqs.weight instead.
  if (!scaling || scaling.type === "llama3") return [];
  return [
    [`${architecture}.rope.scaling.type`, text(scaling.type)],
    [`${architecture}.rope.scaling.factor`, f32(scaling.factor)],
    ...(scaling.type === "yarn"
      ? ([[`${architecture}.rope.scaling.original_context_length`, u32(scaling.originalMaxPositions)]] as [
          string,
          GgufEntry,
        ][])
      : []),
  ];
}

/** The metadata that says what model a GGUF file holds. */
export function modelMetadata(config: CausalLmConfig, name: string, half: boolean): Map<string, GgufEntry> {
  const architecture = ggufArchitecture(config);
  const key = (suffix: string) => `${architecture}.${suffix}`;
  const ids = { bos: config.bosId, eos: config.eosIds[0], eot: config.eosIds[1], padding: config.padId };
  const norm = architecture === "gpt2" ? "layer_norm_epsilon" : "layer_norm_rms_epsilon";
  return new Map<string, GgufEntry>([
    ["general.architecture", text(architecture)],
    ["general.name", text(name)],
    ["general.file_type", u32(half ? 1 : 0)],
    [key("vocab_size"), u32(config.vocabularySize)],
    [key("context_length"), u32(config.maxPositions)],
    [key("embedding_length"), u32(config.hiddenSize)],
    [key("block_count"), u32(config.layers)],
    [key("feed_forward_length"), u32(config.intermediateSize)],
    [key("attention.head_count"), u32(config.heads)],
    [key("attention.head_count_kv"), u32(config.kvHeads)],
    [key(`attention.${norm}`), f32(config.normEpsilon)],
    ...Object.entries(ids).flatMap(([token, id]): [string, GgufEntry][] =>
      id === undefined ? [] : [[`tokenizer.ggml.${token}_token_id`, u32(id)]],
    ),
    ...(architecture === "gpt2"
      ? []
      : ([
          [key("attention.key_length"), u32(config.headSize)],
          [key("attention.value_length"), u32(config.headSize)],
          [key("rope.dimension_count"), u32(config.rotarySize)],
          [key("rope.freq_base"), f32(config.ropeTheta)],
          ...scalingEntries(config, architecture),
        ] as [string, GgufEntry][])),
  ]);
}

/** The metadata of a tokenizer. @throws where GGUF has no name for how it splits text. */
export function tokenizerMetadata(files: TokenizerFiles, vocabularySize: number): Map<string, GgufEntry> {
  const sentencePiece = isSentencePiece(files);
  const { pieces, types } = piecesOf(files);
  for (let id = pieces.length; id < vocabularySize; id++) {
    pieces.push(`[PAD${id}]`);
    types.push(5);
  }
  const specials = specialsOf(files, pieces);
  const entries = new Map<string, GgufEntry>([
    ["tokenizer.ggml.model", text(sentencePiece ? "llama" : "gpt2")],
    ["tokenizer.ggml.tokens", { type: "texts", value: pieces }],
    ["tokenizer.ggml.token_type", { type: "i32s", value: types }],
    ["tokenizer.ggml.add_bos_token", { type: "flag", value: specials.addBos }],
    ["tokenizer.ggml.add_eos_token", { type: "flag", value: specials.addEos }],
  ]);
  if (sentencePiece) {
    const { scores, spacePrefix } = sentencePiecesOf(files);
    const padded = Float32Array.from(pieces, (_, id) => scores[id] ?? 0);
    entries.set("tokenizer.ggml.scores", { type: "f32s", value: padded });
    entries.set("tokenizer.ggml.add_space_prefix", { type: "flag", value: spacePrefix });
  } else {
    const { model, pre_tokenizer: preTokenizer } = files.tokenizer;
    const pre = preTokenizerName(preTokenizer);
    if (model.type !== "BPE" || pre === undefined)
      throw new Error(
        `GGUF can't hold this tokenizer (${model.type}, splitting text in a way llama.cpp has no name for)`,
      );
    const merges = (model.merges as (string | string[])[]).map((m) => (Array.isArray(m) ? m.join(" ") : m));
    entries.set("tokenizer.ggml.pre", text(pre));
    entries.set("tokenizer.ggml.merges", { type: "texts", value: merges });
  }
  const ids = {
    bos: specials.bosId,
    eos: specials.eosId,
    padding: specials.padId,
    unknown: specials.unkId,
  };
  for (const [name, id] of Object.entries(ids))
    if (id !== undefined) entries.set(`tokenizer.ggml.${name}_token_id`, u32(id));
  if (specials.chatTemplate !== undefined)
    entries.set("tokenizer.chat_template", text(specials.chatTemplate));
  return entries;
}
