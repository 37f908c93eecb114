import { convertCheckpoint } from "@fdiv/models/node";
import type { GlobalOptions } from "../session.ts";

/** `fdiv convert`. */
export async function convert(
  from: string,
  to: string,
  options: GlobalOptions & { dtype: "F32" | "F16" | "BF16"; tokenizer?: string },
): Promise<void> {
  await convertCheckpoint(from, to, {
    dtype: options.dtype,
    ...(options.tokenizer !== undefined && { tokenizer: options.tokenizer }),
  });
  if (!options.quiet) process.stderr.write(`${from} → ${to} (${options.dtype})\n`);
}
