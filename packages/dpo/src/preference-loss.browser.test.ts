import "@tensorflow/tfjs";
import { divergence } from "@fdiv/divergences";
import { startBackend } from "@fdiv/tensor-core";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { preferenceLoss } from "./index.ts";

setWasmPaths("/packages/dpo/node_modules/@tensorflow/tfjs-backend-wasm/dist/");

/** Loss and its gradients in the two log-ratios, 1 and −.5, at β = .1. */
const known = {
  "reverse-kl": [0.620957, -0.046257, 0.046257],
  "forward-kl": [0.6311544, -0.0172176, 0.0771639],
  "jensen-shannon": [0.6606522, -0.0130029, 0.030095],
  "alpha:0.5": [0.6276909, -0.0282751, 0.0598583],
};

describe.each(["cpu", "wasm", "webgpu"] as const)("in a browser on %s", (backend) => {
  it("gives the loss and its gradients", async () => {
    const load = { webgpu: () => import("@tensorflow/tfjs-backend-webgpu") };
    expect((await startBackend({ backend, load })).backend).toBe(backend);
    const zero = tf.zeros([1]) as tf.Tensor1D;
    for (const [name, expected] of Object.entries(known)) {
      const loss = (chosen: tf.Tensor, rejected: tf.Tensor) =>
        tf.sum(
          preferenceLoss(
            {
              policy: { chosen: chosen as tf.Tensor1D, rejected: rejected as tf.Tensor1D },
              reference: { chosen: zero, rejected: zero },
            },
            { divergence: divergence(name), beta: 0.1 },
          ).loss,
        );
      const { value, grads } = tf.valueAndGrads(loss)([tf.tensor1d([1]), tf.tensor1d([-0.5])]);
      const found = await Promise.all([value, ...grads].map(async (tensor) => (await tensor.data())[0]!));
      found.forEach((figure, i) => {
        expect(Math.abs(figure - expected[i]!), `${name}, ${i}`).toBeLessThan(3e-6);
      });
    }
  });
});
