import "@tensorflow/tfjs";
import { adamW } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { option, tell, text, timeEach } from "./setting.ts";

const { threads } = await startBackend({ backend: text("backend", "wasm"), threads: option("threads", 2) });
const [tensors, rows, columns] = [64, 512, 915];
const parameters = new Map<string, tf.Variable>();
const gradients = new Map<string, tf.Tensor>();
for (let i = 0; i < tensors; i++) {
  parameters.set(`p${i}`, tf.variable(tf.randomNormal([rows, columns])));
  gradients.set(`p${i}`, tf.randomNormal([rows, columns]));
}
const optimizer = adamW({ learningRate: 1e-4, weightDecay: 0.01 });
tell(await timeEach(() => optimizer.step(parameters, gradients), 3, 15), { threads });
