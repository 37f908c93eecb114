import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { it } from "vitest";

// The same tests once more, on TensorFlow's native backend with its fused operations.
const isThere = await startBackend({ backend: "tensorflow" }).then(
  () => true,
  () => false,
);
if (isThere) {
  process.env.FDIV_TEST_BACKEND = "tensorflow";
  await import("./sinkhorn.test.ts");
  await import("./distillation.test.ts");
} else {
  it.skip("runs where `fdiv-native install` has run", () => undefined);
}
