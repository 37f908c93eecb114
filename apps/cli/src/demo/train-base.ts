import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createCausalLm, disposeModel, huggingFaceTokenizer } from "@fdiv/models";
import { saveCausalLm } from "@fdiv/models/node";
import { stringify } from "yaml";
import { checkConfig } from "../config/config-file.ts";
import { sftSchema } from "../config/schemas.ts";
import { fineTune } from "../runs/fine-tune.ts";
import { isFinished } from "../runs/training-run.ts";
import type { Session } from "../session.ts";
import { wordTokenizerConfig, wordTokenizerJson } from "./word-tokenizer.ts";

/**
 * A small language model trained on the demo's texts, as an ordinary fine-tuning run under `base`; one that was interrupted goes on, one
 * that is there stays.
 */
export async function trainBase(
  output: string,
  base: string,
  vocabulary: readonly string[],
  { seed, scale }: { seed: number; scale: number },
  session: Session,
): Promise<void> {
  if (isFinished(base)) return;
  const tokenizer = huggingFaceTokenizer({
    tokenizer: wordTokenizerJson(vocabulary) as never,
    config: wordTokenizerConfig,
  });
  const model = createCausalLm(
    {
      modelType: "llama",
      vocabularySize: tokenizer.vocabularySize,
      hiddenSize: 128,
      intermediateSize: 384,
      layers: 3,
      heads: 4,
      maxPositions: 64,
      tiedHead: true,
      bosId: 1,
      eosIds: [2],
    },
    { seed, tokenizer },
  );
  const start = join(output, "start");
  await saveCausalLm(model, start, { dtype: "F32" });
  disposeModel(model);
  const config = checkConfig(
    sftSchema,
    {
      model: start,
      data: { train: join(output, "texts.jsonl"), eval: 0.05, maxLength: 48 },
      learningRate: 3e-3,
      schedule: "cosine",
      warmup: 0.05,
      weightDecay: 0.1,
      batchSize: 64,
      epochs: 4 * scale,
      restoreBest: true,
      output: base,
      checkpointEvery: 1000,
      seed,
    },
    "demo",
  );
  await writeFile(join(output, "base.yaml"), stringify({ ...config, output: `${base}-again` }));
  await fineTune(
    config,
    { ...session, say: () => undefined },
    { resume: existsSync(join(base, "metrics.jsonl")) },
  );
}
