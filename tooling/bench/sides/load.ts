import { join } from "node:path";
import "@tensorflow/tfjs";
import { disposeModel } from "@fdiv/models";
import { loadCausalLm } from "@fdiv/models/node";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { madeModels, option, tell, text, timeEach } from "./setting.ts";

const { threads } = await startBackend({ backend: text("backend", "wasm"), threads: option("threads", 2) });
const kind = process.argv[2]!;
const path = join(madeModels, kind === "gguf" ? "model.gguf" : kind);
const storage = process.argv.includes("half") ? "bfloat16" : "float32";
tell(
  await timeEach(
    async () => {
      const model = await loadCausalLm(path, { trainable: false, storage });
      // Every weight is used once, since a backend may put off taking it.
      tf.tidy(() => {
        for (const tensor of model.parameters.values()) tf.max(tensor);
      });
      disposeModel(model);
    },
    1,
    4,
  ),
  { threads },
);
