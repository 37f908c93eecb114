import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { startWasm } from "./wasm-threads.ts";

it("multiplies right on two threads", async () => {
  const { threads, reason } = await startWasm({ threads: 2 });
  expect(reason).toBeUndefined();
  expect(threads).toBe(2);
  expect(tf.getBackend()).toBe("wasm");
  const a = tf.randomUniform([65, 130], -1, 1, "float32", 1) as tf.Tensor2D;
  const identity = tf.eye(130);
  const difference = tf.max(tf.abs(tf.sub(tf.matMul(a, identity), a)));
  expect(difference.dataSync()[0]).toBeLessThan(1e-6);
});

it("lets the process end by itself", () => {
  const script = fileURLToPath(new URL("./wasm-process.testing.ts", import.meta.url));
  const out = execFileSync(process.execPath, ["--conditions=@fdiv/source", "--import", "tsx", script], {
    encoding: "utf8",
    timeout: 30_000,
  });
  expect(out.trim()).toBe("wasm 2 27000000");
});
