import type { GgufHeader } from "./header.ts";
import type { MetadataReader } from "./metadata.ts";
import { inverseFrequencyFactors } from "./rope-factors.ts";

/** A float32 as the decimal that was meant: 1e-5 rather than 9.999999747378752e-6. */
const decimal = (value: number) => Number(Math.fround(value).toPrecision(7));

function ropeScaling(get: MetadataReader, architecture: string, factors: Float32Array | undefined) {
  if (factors) return inverseFrequencyFactors(factors);
  const type = get.text(`${architecture}.rope.scaling.type`, "none");
  if (type === "none") {
    const linear = get.number(`${architecture}.rope.scale_linear`, 1);
    return linear === 1 ? undefined : { rope_type: "linear", factor: linear };
  }
  const factor = get.number(`${architecture}.rope.scaling.factor`);
  if (type === "linear") return { rope_type: "linear", factor };
  if (type !== "yarn") throw new Error(`the rotary scaling "${type}" is not one of none, linear, yarn`);
  return {
    rope_type: "yarn",
    factor,
    original_max_position_embeddings: get.number(`${architecture}.rope.scaling.original_context_length`),
  };
}

function gpt2Config(get: MetadataReader, shared: Record<string, unknown>): Record<string, unknown> {
  return {
    architectures: ["GPT2LMHeadModel"],
    model_type: "gpt2",
    ...shared,
    n_positions: get.number("gpt2.context_length"),
    n_embd: get.number("gpt2.embedding_length"),
    n_layer: get.number("gpt2.block_count"),
    n_head: get.number("gpt2.attention.head_count"),
    n_inner: get.number("gpt2.feed_forward_length"),
    layer_norm_epsilon: decimal(get.number("gpt2.attention.layer_norm_epsilon")),
    activation_function: "gelu_new",
  };
}

/**
 * The `config.json` of the model in a GGUF file.
 *
 * `ropeFactors` are the values of `rope_freqs.weight`, which is how llama.cpp keeps Llama 3's rotary scaling.
 */
export function ggufHuggingFaceConfig(
  get: MetadataReader,
  header: GgufHeader,
  { tied, ropeFactors }: { tied: boolean; ropeFactors?: Float32Array },
): Record<string, unknown> {
  const architecture = get.text("general.architecture");
  const token = (name: string) => get.optionalNumber(`tokenizer.ggml.${name}_token_id`);
  // Models that talk end a turn with a token of its own beside the end of the text.
  const ends = [...new Set([token("eos"), token("eot")])].filter((id) => id !== undefined);
  const shared = {
    vocab_size: header.tensors.get("token_embd.weight")?.shape[0],
    tie_word_embeddings: tied,
    bos_token_id: token("bos"),
    eos_token_id: ends.length > 1 ? ends : ends[0],
    pad_token_id: token("padding"),
    torch_dtype: "float32",
  };
  if (architecture === "gpt2") return gpt2Config(get, shared);
  const key = (name: string) => `${architecture}.${name}`;
  const heads = get.number(key("attention.head_count"));
  const hidden = get.number(key("embedding_length"));
  const headSize = get.number(key("attention.key_length"), hidden / heads);
  if (get.number(key("rope.dimension_count"), headSize) !== headSize)
    throw new Error(`heads of ${headSize} dimensions of which only a part rotates can't be read`);
  if (get.number(key("expert_count"), 0) > 0) throw new Error("mixtures of experts can't be read");
  const scaling = ropeScaling(get, architecture, ropeFactors);
  return {
    architectures: [architecture === "qwen2" ? "Qwen2ForCausalLM" : "LlamaForCausalLM"],
    model_type: architecture,
    ...shared,
    hidden_size: hidden,
    intermediate_size: get.number(key("feed_forward_length")),
    num_hidden_layers: get.number(key("block_count")),
    num_attention_heads: heads,
    num_key_value_heads: get.number(key("attention.head_count_kv"), heads),
    head_dim: headSize,
    max_position_embeddings: get.number(key("context_length")),
    rms_norm_eps: decimal(get.number(key("attention.layer_norm_rms_epsilon"))),
    rope_theta: decimal(get.number(key("rope.freq_base"), 10000)),
    ...(scaling && { rope_scaling: scaling }),
    hidden_act: "silu",
    ...(architecture === "llama" && {
      attention_bias: header.tensors.has("blk.0.attn_q.bias"),
      mlp_bias: header.tensors.has("blk.0.ffn_gate.bias"),
    }),
  };
}
