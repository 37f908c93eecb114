import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { it } from "vitest";

// The same tests once more, on TensorFlow's native backend with its fused operations.
const isThere = await startBackend({ backend: "tensorflow" }).then(
  () => true,
  () => false,
);
const files = [
  "anderson",
  "cost-matrix",
  "cross-vocabulary",
  "distillation-loss",
  "logit-distillation",
  "losses",
  "marginal-fit",
  "refusals",
  "sample-wise",
  "sinkhorn",
  "sinkhorn-batches",
  "sinkhorn-extremes",
  "sinkhorn-gradients",
  "sinkhorn-kd",
  "sparse-teacher",
];
if (isThere) {
  process.env.FDIV_TEST_BACKEND = "tensorflow";
  for (const file of files) await import(`./${file}.test.ts`);
} else {
  it.skip("runs where `fdiv-native install` has run", () => undefined);
}
