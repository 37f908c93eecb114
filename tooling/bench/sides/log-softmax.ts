import "@tensorflow/tfjs";
import { logSoftmax, valueAndGradients } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { option, tell, text, timeEach } from "./setting.ts";

const stock = process.argv.includes("stock");
const withGradient = process.argv.includes("gradient");
await startBackend({ backend: text("backend", "wasm"), threads: option("threads", 2) });

const x = tf.variable(tf.randomNormal([256, 32000]), true, "x");
const upstream = tf.randomNormal([256, 32000]);
const forward = () => (stock ? tf.logSoftmax(x) : logSoftmax(x));
// The product that feeds the upstream gradient in, as `backward(upstream)` does, is not part of what is measured.
const feed = (y: tf.Tensor): tf.Scalar =>
  tf.customGrad((_input, save) => {
    (save as tf.GradSaveFunc)([upstream]);
    return { value: tf.scalar(0), gradFunc: (_dy: tf.Tensor, saved: tf.Tensor[]) => [saved[0]!] };
  })(y) as tf.Scalar;

const seconds = await timeEach(
  () => {
    if (!withGradient) return tf.dispose(forward());
    const parameters = new Map([["x", x]]);
    const { value, gradients } = valueAndGradients(() => feed(forward()), parameters);
    tf.dispose([value, ...gradients.values()]);
  },
  3,
  20,
);
tell(seconds);
