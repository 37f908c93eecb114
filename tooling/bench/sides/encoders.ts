import "@tensorflow/tfjs";

import {
  classify,
  createEncoder,
  createT5,
  embed,
  encoderBatch,
  generateSeq2Seq,
  t5Batch,
  t5TokenLogProbs,
  trainableParameters,
} from "@fdiv/models";
import { adamW, clipByGlobalNorm, crossEntropy, random, valueAndGradients } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { option, tell, text, timeEach } from "./setting.ts";

const [kind] = process.argv.slice(2);
const { threads } = await startBackend({ backend: text("backend", "wasm"), threads: option("threads", 2) });
const draw = random(1);
const ids = (count: number) => Array.from({ length: count }, () => 200 + draw.integer(20_000));
const rows = 16;
const items = Array.from({ length: rows }, (_, row) => ({ ids: ids(33 + 2 * row), label: row % 2 }));

/** MiniLM-L6's architecture with random weights. */
const miniLm = () =>
  createEncoder(
    {
      modelType: "bert",
      ...{ vocabularySize: 30522, hiddenSize: 384, intermediateSize: 1536, layers: 6, heads: 12 },
      head: { task: "classification", labels: ["no", "yes"] },
    },
    { seed: 0 },
  );
/** T5-small's architecture with random weights. */
const t5Small = () =>
  createT5(
    {
      ...{ vocabularySize: 32128, hiddenSize: 512, intermediateSize: 2048, layers: 6, heads: 8 },
      initializerFactor: 0.05,
    },
    { seed: 0 },
  );

const losses: number[] = [];

/** A step of AdamW on an objective. */
function stepOf(parameters: Map<string, tf.Variable>, objective: () => tf.Scalar): () => void {
  const optimizer = adamW({ learningRate: 1e-4 });
  return () => {
    const { value, gradients } = valueAndGradients(objective, parameters);
    const { scale } = clipByGlobalNorm(gradients, 1);
    optimizer.step(parameters, gradients, { gradientScale: scale });
    losses.push(value.dataSync()[0]!);
    tf.dispose([value, ...gradients.values()]);
  };
}

function workOf(): () => unknown {
  if (kind === "classify") {
    const model = miniLm();
    const batch = encoderBatch(items);
    const labels = tf.tensor1d(
      items.map(({ label }) => label),
      "int32",
    );
    return stepOf(trainableParameters(model), () => tf.mean(crossEntropy(classify(model, batch), labels)));
  }
  if (kind === "embed") {
    const model = miniLm();
    const batch = encoderBatch(items);
    return () => tf.tidy(() => embed(model, batch).dataSync());
  }
  const model = t5Small();
  const inputs = items.map((item) => [...item.ids, 1]);
  if (kind === "t5-generate")
    return () => generateSeq2Seq(model, { inputs, maxTokens: 32, ignoreEos: true, seed: 1 });
  const batch = t5Batch(
    inputs.map((input) => ({ input, outputs: [ids(16)] })),
    model.config,
  );
  return stepOf(
    trainableParameters(model),
    () => tf.neg(tf.mean(t5TokenLogProbs(model, batch))) as tf.Scalar,
  );
}

const seconds = await timeEach(workOf(), 2, 6);
if (losses.length > 0 && !(losses.at(-1)! < losses[0]!))
  throw new Error(`The loss did not fall: ${losses.join(", ")}`);
tell(seconds, { threads, losses });
