import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { nativeFolder } from "./cache-folder.ts";
import { installNative } from "./install.ts";
import type { InstallProgress } from "./progress.ts";
import { nativeStatus, removeNative } from "./status.ts";
import { temporaryFolder } from "./temporary-folder.testing.ts";

/** A program of ES modules as a user writes it, but for the name of the folder. */
const program = `
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { createRequire } from "node:module";
const native = createRequire(import.meta.url)(process.env.FOLDER + "/load.cjs");
native.load(tf);
if (!(await tf.setBackend("tensorflow"))) throw new Error("the backend did not start");
const weight = tf.variable(tf.tensor2d([[1, 2], [3, 4]]));
const x = tf.tensor2d([[1, 1]]);
const loss = () => tf.sum(tf.square(tf.matMul(x, weight)));
const { value, grads } = tf.variableGrads(loss);
// A kernel and a gradient of the program's own meet the binding's in one registry.
tf.registerKernel({ kernelName: "Tripled", backendName: "tensorflow", kernelFunc: ({ inputs }) => tf.tidy(() => tf.mul(inputs.x, 3)) });
tf.registerGradient({ kernelName: "Tripled", gradFunc: (dy) => ({ x: () => tf.mul(dy, 3) }) });
const tripled = tf.grad((x) => tf.sum(tf.square(tf.engine().runKernel("Tripled", { x }))))(x);
const flipped = tf.image.flipLeftRight(tf.tensor4d([1, 2], [1, 1, 2, 1]));
const png = await native.node.encodePng(tf.tensor3d([1, 2, 3, 4, 5, 6], [1, 2, 3], "int32"));
const cores = Object.keys(createRequire(import.meta.url).cache).filter((file) => file.endsWith("tf-core.node.js"));
process.stdout.write(JSON.stringify({
  backend: tf.getBackend(),
  value: [...value.dataSync()],
  gradient: [...Object.values(grads)[0].dataSync()],
  variable: weight instanceof tf.Variable,
  tensor: value instanceof tf.Tensor,
  tripled: [...tripled.dataSync()],
  flipped: [...flipped.dataSync()],
  pixels: [...native.node.decodePng(png).dataSync()],
  cores: cores.length,
}));
`;

async function computesIn(folder: string): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], {
    cwd: import.meta.dirname,
    env: { ...process.env, FOLDER: folder, NODE_OPTIONS: "" },
  });
  expect(JSON.parse(stdout.slice(stdout.indexOf("{")))).toEqual({
    backend: "tensorflow",
    // (1 + 3)² + (2 + 4)², and 2 · (4, 6) in both rows.
    value: [52],
    gradient: [8, 12, 8, 12],
    variable: true,
    tensor: true,
    // d(3x)² = 18x
    tripled: [18, 18],
    flipped: [2, 1],
    pixels: [1, 2, 3, 4, 5, 6],
    cores: 1,
  });
}

const found = nativeFolder();

describe("an installation", () => {
  it.skipIf(!found)(
    "shares tensors, tape and kernels with a program's ES import (needs one in the cache)",
    () => computesIn(found!),
  );
});

describe.skipIf(process.env.FDIV_TEST_NATIVE !== "1")("a real installation (FDIV_TEST_NATIVE=1)", () => {
  const cache = temporaryFolder();
  // Wheels fetched before, in place of a download.
  const wheel = process.env.FDIV_TEST_NATIVE_WHEEL;
  const options = { cache, ...(wheel && { wheel }) };

  it("leaves nothing when it is stopped while unpacking", { timeout: 1_200_000 }, async () => {
    const controller = new AbortController();
    const onProgress = ({ step, bytes }: InstallProgress): void => {
      if (step === "unpack" && bytes && bytes > 50e6) controller.abort(new Error("stopped"));
    };
    await expect(installNative({ ...options, signal: controller.signal, onProgress })).rejects.toThrow(
      "stopped",
    );
    expect(await readdir(join(cache, "native"))).toEqual(wheel ? [] : ["downloads"]);
  });

  it("is built, computes, and is removed", { timeout: 1_200_000 }, async () => {
    const { folder, manifest } = await installNative(options);
    expect(manifest.selfTest.tensorflow).toBe("2.15.1");
    expect(nativeFolder({ cache })).toBe(folder);
    await computesIn(folder);
    expect((await nativeStatus({ cache }))[0]).toMatchObject({ installed: true, works: true });
    expect((await removeNative({ cache })).map((removed) => removed.folder)).toEqual([folder]);
    expect(await readdir(join(cache, "native"))).toEqual([]);
  });
});
