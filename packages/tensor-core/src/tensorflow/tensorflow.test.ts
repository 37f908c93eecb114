import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { fastKernelsAgree } from "../fast-kernels.testing.ts";
import { hasFastKernel } from "../kernel.ts";
import { startBackend } from "../node/backend.ts";
import { randomShapesAgree } from "../random-shapes.testing.ts";

const started = await startBackend({ backend: "tensorflow" }).catch((error: Error) => error);
const isThere = !(started instanceof Error) && hasFastKernel("FdivAttention", "tensorflow");

describe.skipIf(!isThere)("on TensorFlow (skipped where `fdiv-native install` has not run)", () => {
  it("has its own kernels", () => {
    expect(tf.getBackend()).toBe("tensorflow");
    expect(started).toMatchObject({ backend: "tensorflow", detail: expect.stringMatching(/fused kernels/) });
  });

  fastKernelsAgree();
  randomShapesAgree();
});
