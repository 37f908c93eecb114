// SmolLM2-135M's architecture with random weights, in the formats that models are loaded from; made once.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import "@tensorflow/tfjs";
import { createCausalLm } from "@fdiv/models";
import { convertCheckpoint, saveCausalLm } from "@fdiv/models/node";
import { startBackend } from "@fdiv/tensor-core/node";
import { madeModels, smolLm2, tell } from "./setting.ts";

if (!existsSync(join(madeModels, "model.gguf"))) {
  await startBackend({ backend: "wasm" });
  await mkdir(madeModels, { recursive: true });
  const model = createCausalLm(smolLm2, { seed: 0, trainable: false });
  for (const dtype of ["F32", "BF16"] as const) await saveCausalLm(model, join(madeModels, dtype), { dtype });
  await convertCheckpoint(join(madeModels, "F32"), join(madeModels, "model.gguf"), { dtype: "F16" });
}
tell([0]);
