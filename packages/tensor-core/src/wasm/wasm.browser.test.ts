import "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { fastKernelsAgree } from "../fast-kernels.testing.ts";
import { hasFastKernel } from "../kernel.ts";
import { randomShapesAgree } from "../random-shapes.testing.ts";
import { startBackend } from "../start-backend.ts";

setWasmPaths("/packages/tensor-core/node_modules/@tensorflow/tfjs-backend-wasm/dist/");

describe.each([1, 2])("wasm in a browser, asked for %d threads", (threads) => {
  beforeAll(async () => {
    const started = await startBackend({ backend: "wasm", threads });
    expect(crossOriginIsolated).toBe(true);
    expect(started).toMatchObject({ backend: "wasm", threads, passedOver: [] });
    expect(started.detail).toMatch(/^[12] threads?, fused kernels$/);
    expect(hasFastKernel("FdivMatMul")).toBe(true);
  });

  it("shares its memory", () => {
    const { wasm } = tf.backend() as unknown as { wasm: { wasmMemory: WebAssembly.Memory } };
    expect(wasm.wasmMemory.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  fastKernelsAgree();
  randomShapesAgree();
});
