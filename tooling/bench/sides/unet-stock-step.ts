// The `unet` benchmark's step with TensorFlow.js' own operations alone, on a backend as it comes: nothing of fdiv's is registered.
import "@tensorflow/tfjs";
import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";
import { loadNative, nativeFolder } from "@fdiv/native/load";
import * as tf from "@tensorflow/tfjs-core";
import { option, tell, text, timeEach } from "./setting.ts";
import { stockUnet, stockUnetWeights } from "./stock-unet.ts";

const backend = text("backend", "cpu");
// Of a backend that takes minutes for all 64 images, some are timed and the rest counted alike.
const [batch, size, sigmaData] = [option("batch", 64), 28, 0.5];

/** TensorFlow's backend of an installation, of whose own operations nothing here knows. */
function startTensorflow(): void {
  const folder = nativeFolder();
  if (!folder) throw new Error("TensorFlow's backend is not installed: npx @fdiv/native install.");
  loadNative(folder, { core: tf });
}

if (backend === "tensorflow") startTensorflow();
if (backend === "wasm") {
  const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
  const manifest = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json");
  setWasmPaths(`${join(dirname(manifest), "dist")}${sep}`);
}
await tf.setBackend(backend);
await tf.ready();

const weights = stockUnetWeights();
const optimizer = tf.train.adam(1e-3);
const losses: number[] = [];
const loss = (): tf.Scalar => {
  const clean = tf.randomNormal([batch, size, size, 1]) as tf.Tensor4D;
  const sigma = tf.exp(tf.add(-1.2, tf.mul(1.2, tf.randomNormal([batch])))) as tf.Tensor1D;
  const s = tf.reshape(sigma, [-1, 1, 1, 1]);
  const noised = tf.add(clean, tf.mul(s, tf.randomNormal(clean.shape)));
  const total = tf.add(tf.square(s), sigmaData ** 2);
  const out = stockUnet(weights, tf.mul(noised, tf.rsqrt(total)), tf.mul(0.25, tf.log(sigma)));
  const denoised = tf.add(
    tf.mul(noised, tf.div(sigmaData ** 2, total)),
    tf.mul(out, tf.mul(tf.mul(s, sigmaData), tf.rsqrt(total))),
  );
  const weight = tf.div(total, tf.square(tf.mul(s, sigmaData)));
  return tf.mean(tf.mul(weight, tf.square(tf.sub(denoised, clean))));
};

function step(): void {
  const { value, grads } = tf.variableGrads(loss, [...weights.values()]);
  const norm = tf.tidy(() => tf.sqrt(tf.addN(Object.values(grads).map((g) => tf.sum(tf.square(g))))));
  const scale = Math.min(1, 10 / norm.dataSync()[0]!);
  const scaled = tf.tidy(() =>
    Object.entries(grads).map(([name, gradient]) => ({ name, tensor: tf.mul(gradient, scale) })),
  );
  optimizer.applyGradients(scaled);
  losses.push(value.dataSync()[0]!);
  tf.dispose([value, norm, grads, scaled.map(({ tensor }) => tensor)]);
}

try {
  const seconds = await timeEach(step, backend === "cpu" ? 0 : 3, option("steps", 10));
  if (!losses.every(Number.isFinite)) throw new Error(`the loss is not finite: ${losses.join(", ")}`);
  tell(
    seconds.map((each) => (each * 64) / batch),
    { losses },
  );
} catch (error) {
  // What a backend can't do is a result too.
  if (!/not registered|not supported|not implemented/i.test((error as Error).message)) throw error;
  tell([], { impossible: (error as Error).message });
}
