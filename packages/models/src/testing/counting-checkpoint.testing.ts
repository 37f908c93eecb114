import type { Checkpoint } from "../checkpoint.ts";
import type { CausalLmConfig } from "../config.ts";
import { familyOf } from "../families.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** A checkpoint whose every value is different, so that a misplaced one shows; exact in half precision where small. */
export function countingCheckpoint(config: CausalLmConfig, tokenizer?: Tokenizer): Checkpoint {
  let next = 1;
  const tensors = Array.from(familyOf(config.modelType).parameters(config), ([name, { shape }]) => {
    const size = shape.reduce((product, d) => product * d, 1);
    const values = Float32Array.from({ length: size }, () => next++ / 1024);
    return { name, shape, read: async () => values };
  });
  return { config, tensors, ...(tokenizer && { tokenizer }) };
}

/** A checkpoint's tensors by name, all read. */
export async function valuesOf({
  tensors,
}: Checkpoint): Promise<Map<string, { shape: number[]; values: Float32Array }>> {
  const out = new Map<string, { shape: number[]; values: Float32Array }>();
  for (const { name, shape, read } of tensors) out.set(name, { shape, values: await read() });
  return new Map([...out].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** All chunks as one array. */
export async function joined(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return new Uint8Array(Buffer.concat(parts));
}
