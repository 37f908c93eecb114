// A training step of a 28 × 28 U-Net by EDM's loss: forward, backward, clipping, AdamW.
import "@tensorflow/tfjs";
import { trainDenoiser } from "@fdiv/distill";
import { createUnetDenoiser } from "@fdiv/models";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { option, tell, text } from "./setting.ts";

await startBackend({ backend: text("backend", "wasm"), threads: option("threads", 2) });
const [batch, size, steps, warmUp] = [option("batch", 64), 28, option("steps", 10), 3];
const denoiser = createUnetDenoiser({ blockChannels: [32, 64, 64], attentionLevels: 1, sampleSize: size });
const training = trainDenoiser({
  denoiser,
  data: (random, count) => ({
    x: tf.tensor(random.normal(count * size * size), [count, size, size, 1]),
  }),
  batchSize: batch,
  steps: steps + warmUp,
});
const seconds: number[] = [];
let started = performance.now();
for await (const { iteration, skipped } of training) {
  if (skipped) throw new Error("a step was skipped");
  if (iteration >= warmUp) seconds.push((performance.now() - started) / 1e3);
  started = performance.now();
}
tell(seconds);
