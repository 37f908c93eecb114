import "@tensorflow/tfjs";
import { type SinkhornOptions, sinkhorn, sinkhornKd } from "@fdiv/sinkhorn-kd";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { option, tell, text, timeEach } from "./setting.ts";

// The same numbers as in peers/sinkhorn.py.
const withGradient = process.argv.includes("gradient");
const part = process.argv.includes("sinkd") ? "sinkd" : "problems";
await startBackend({ backend: text("backend", "wasm"), threads: option("threads", 2) });

const [batch, points] = [64, 256];
const [examples, vocabulary] = [32, 32000];

function masses(shift: number): tf.Tensor2D {
  const x = tf.tensor2d(
    Float32Array.from(
      { length: batch * points },
      (_, i) => 1 + (((i % points) * 7 + Math.floor(i / points) * 3 + shift) % 11),
    ),
    [batch, points],
  );
  return tf.div(x, tf.sum(x, 1, true));
}

function logits(shift: number): tf.Tensor2D {
  return tf.tensor2d(
    Float32Array.from(
      { length: examples * vocabulary },
      (_, i) => 3 * Math.sin(0.37 * (i % 10007) + shift * (i % 97)),
    ),
    [examples, vocabulary],
  );
}

function problems(): () => tf.Tensor {
  const at = Float32Array.from(
    { length: batch * points * points },
    (_, i) => Math.abs((i % points) - (Math.floor(i / points) % points)) / points,
  );
  const cost = tf.tensor3d(at, [batch, points, points]);
  const marginals = { a: masses(0), b: masses(5) };
  const options = {
    lambda: 0.1,
    iterations: 20,
    marginals,
    gradient: text("gradient-kind", "unrolled"),
  } as SinkhornOptions;
  if (withGradient) {
    const f = tf.valueAndGrad((x: tf.Tensor) => tf.mean(sinkhorn(x, options).value) as tf.Scalar);
    return () => {
      const { value, grad } = f(cost);
      grad.dispose();
      return value;
    };
  }
  return () => tf.tidy(() => tf.mean(sinkhorn(cost, options).value));
}

function sinkd(): () => tf.Tensor {
  const [student, teacher] = [logits(0.11), logits(0.23)];
  const loss = (x: tf.Tensor) => tf.sum(sinkhornKd({ student: x, teacher }).loss) as tf.Scalar;
  if (!withGradient) return () => tf.tidy(() => loss(student));
  const f = tf.valueAndGrad(loss);
  return () => {
    const { value, grad } = f(student);
    grad.dispose();
    return value;
  };
}

const run = part === "sinkd" ? sinkd() : problems();
let value = Number.NaN;
const seconds = await timeEach(
  async () => {
    const found = run();
    value = (await found.data())[0]!;
    found.dispose();
  },
  3,
  15,
);
tell(seconds, { value });
