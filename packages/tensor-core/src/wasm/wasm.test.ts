import "@tensorflow/tfjs";
import { beforeAll, describe, expect } from "vitest";
import { fastKernelsAgree } from "../fast-kernels.testing.ts";
import { hasFastKernel } from "../kernel.ts";
import { startWasm } from "../node/wasm-threads.ts";
import { randomShapesAgree } from "../random-shapes.testing.ts";

describe.each([1, 2])("with %d threads", (threads) => {
  beforeAll(async () => {
    const started = await startWasm({ threads });
    expect(started).toMatchObject({ threads });
    expect(started.kernels).not.toBe("generic");
    expect(hasFastKernel("FdivMatMul", "wasm")).toBe(true);
  });

  fastKernelsAgree();
  randomShapesAgree();
});
