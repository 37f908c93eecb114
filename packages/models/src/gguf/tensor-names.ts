/** What happens to a tensor's values between the two formats. */
export type Reordering = "none" | "query" | "key" | "transpose";

export interface NamedTensor {
  name: string;
  reordering: Reordering;
}

type Table = Record<string, [gguf: string, reordering?: Reordering]>;

const llama: Table = {
  "model.embed_tokens": ["token_embd"],
  "model.norm": ["output_norm"],
  lm_head: ["output"],
  "model.layers.#.input_layernorm": ["blk.#.attn_norm"],
  "model.layers.#.post_attention_layernorm": ["blk.#.ffn_norm"],
  "model.layers.#.self_attn.q_proj": ["blk.#.attn_q", "query"],
  "model.layers.#.self_attn.k_proj": ["blk.#.attn_k", "key"],
  "model.layers.#.self_attn.v_proj": ["blk.#.attn_v"],
  "model.layers.#.self_attn.o_proj": ["blk.#.attn_output"],
  "model.layers.#.mlp.gate_proj": ["blk.#.ffn_gate"],
  "model.layers.#.mlp.up_proj": ["blk.#.ffn_up"],
  "model.layers.#.mlp.down_proj": ["blk.#.ffn_down"],
};
// llama.cpp rotates Qwen's heads by halves, as Hugging Face does.
const qwen2: Table = Object.fromEntries(Object.entries(llama).map(([name, [gguf]]) => [name, [gguf]]));
const gpt2: Table = {
  "transformer.wte": ["token_embd"],
  "transformer.wpe": ["position_embd"],
  "transformer.ln_f": ["output_norm"],
  lm_head: ["output"],
  "transformer.h.#.ln_1": ["blk.#.attn_norm"],
  "transformer.h.#.ln_2": ["blk.#.ffn_norm"],
  "transformer.h.#.attn.c_attn": ["blk.#.attn_qkv", "transpose"],
  "transformer.h.#.attn.c_proj": ["blk.#.attn_output", "transpose"],
  "transformer.h.#.mlp.c_fc": ["blk.#.ffn_up", "transpose"],
  "transformer.h.#.mlp.c_proj": ["blk.#.ffn_down", "transpose"],
};

const tables: Record<string, Table> = { llama, qwen2, gpt2 };

/** The architectures (`general.architecture`) that can be read and written. */
export const ggufArchitectures = Object.keys(tables);

function translate(name: string, architecture: string, from: 0 | 1): NamedTensor | undefined {
  const [, layered, suffix] = /^(.*)\.(weight|bias)$/.exec(name) ?? [];
  if (layered === undefined || suffix === undefined) return undefined;
  const layer = /\.(\d+)\./.exec(layered)?.[1];
  const key = layered.replace(/\.\d+\./, ".#.");
  for (const [huggingFace, [gguf, reordering = "none"]] of Object.entries(tables[architecture] ?? {})) {
    if (key !== (from === 0 ? huggingFace : gguf)) continue;
    const other = from === 0 ? gguf : huggingFace;
    return {
      name: `${layer === undefined ? other : other.replace("#", layer)}.${suffix}`,
      reordering: reordering === "transpose" && suffix === "bias" ? "none" : reordering,
    };
  }
  return undefined;
}

/** The Hugging Face name of a GGUF file's tensor, if the architecture has it. */
export function huggingFaceName(gguf: string, architecture: string): NamedTensor | undefined {
  return translate(gguf, architecture, 1);
}

/** The GGUF name of a Hugging Face tensor, if the architecture has it. */
export function ggufName(huggingFace: string, architecture: string): NamedTensor | undefined {
  return translate(huggingFace, architecture, 0);
}
