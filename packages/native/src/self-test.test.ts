import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { explainGpu, selfTest } from "./self-test.ts";
import { temporaryFolder } from "./temporary-folder.testing.ts";

const root = temporaryFolder();

/** An installation whose loader is the given script. */
async function folderWith(name: string, loader: string): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder);
  await writeFile(join(folder, "load.cjs"), loader);
  return folder;
}

/** A loader that registers tfjs-core's backend as it is, with a matrix product of its own. */
const backend = (matMul: string) => `
exports.load = (tf) => {
  class Backend extends tf.KernelBackend {
    data = new Map();
    numDataIds() { return this.data.size; }
    floatPrecision() { return 32; }
    epsilon() { return 1e-7; }
    write(values) { const id = {}; this.data.set(id, values); return id; }
    readSync(id) { return this.data.get(id); }
    disposeData() { return true; }
    incRef() {} decRef() {} refCount() { return 1; }
  }
  tf.registerBackend("tensorflow", () => new Backend());
  tf.registerKernel({ kernelName: "BatchMatMul", backendName: "tensorflow", kernelFunc: ({ inputs, backend }) => {
    const n = 48, a = backend.readSync(inputs.a.dataId), b = backend.readSync(inputs.b.dataId), c = new Float32Array(n * n);
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) { let s = 0; for (let k = 0; k < n; k++) s += a[i * n + k] * b[j * n + k]; c[i * n + j] = ${matMul}; }
    return { dataId: backend.write(c), shape: [1, n, n], dtype: "float32" };
  } });
  tf.registerKernel({ kernelName: "Reshape", backendName: "tensorflow", kernelFunc: ({ inputs, attrs }) => ({ dataId: inputs.x.dataId, shape: attrs.shape, dtype: inputs.x.dtype }) });
  return { tensorflow: "test" };
};`;

describe("selfTest", () => {
  it("finds wrong numbers", async () => {
    const wrong = await folderWith("wrong", backend("i + j === 5 ? s + 1 : s"));
    await expect(selfTest(wrong)).rejects.toThrow(/a matrix product is wrong/);
    // With a right product it gets further, to a kernel that this backend lacks.
    const right = await folderWith("right", backend("s"));
    await expect(selfTest(right)).rejects.toThrow(/Softmax/);
  });

  it("tells why a folder does not load, and how a process ended", async () => {
    const broken = await folderWith("broken", "throw new Error('libtensorflow_cc.so.2: not found')");
    await expect(selfTest(broken)).rejects.toThrow(/does not work: self-test: libtensorflow_cc/);
    const illegal = await folderWith(
      "illegal",
      "process.kill(process.pid, 'SIGILL'); setInterval(() => {}, 9)",
    );
    if (process.platform !== "win32") await expect(selfTest(illegal)).rejects.toThrow(/AVX/);
  });
});

describe("explainGpu", () => {
  it.each([
    ["Could not load dynamic library 'libcuda.so.1'; failed call to cuInit: X", /libcuda\.so\.1.*driver/],
    ["Could not load dynamic library 'libcudnn.so.8'", /libcudnn\.so\.8/],
    ["failed call to cuInit: CUDA_ERROR_NO_DEVICE: no device\n", /"CUDA_ERROR_NO_DEVICE: no device"/],
    ["", /reports no GPU/],
  ])("reads %j", (said, message) => {
    expect(explainGpu(said)).toMatch(message);
  });
});
