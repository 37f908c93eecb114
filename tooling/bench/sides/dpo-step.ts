import "@tensorflow/tfjs";

import { reverseKl } from "@fdiv/divergences";
import { preferenceLoss } from "@fdiv/dpo";
import { addLora, createCausalLm, sequenceLogProbs, tokenRows, trainableParameters } from "@fdiv/models";
import { adamW, clipByGlobalNorm, random, valueAndGradients } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { gpt2, option, setting, sinceStart, smolLm2, tell, text, timeEach } from "./setting.ts";
import { stockLogProbs, stockWeights } from "./stock-gpt2.ts";

const [kind] = process.argv.slice(2);
const isLora = kind === "lora";
const isFirst = process.argv.includes("first");
if (isLora) Object.assign(setting, { pairs: 4, vocabulary: 49152 });
setting.vocabulary = option("vocabulary", setting.vocabulary);
const { threads } = await startBackend({ backend: text("backend", "wasm"), threads: option("threads", 2) });
const { pairs, prompt, completion, vocabulary } = setting;

const draw = random(1);
const ids = (count: number) => Array.from({ length: count }, () => 3 + draw.integer(vocabulary - 3));
const tokens = Array.from({ length: pairs }, () => ({
  prompt: ids(prompt),
  chosen: ids(completion),
  rejected: ids(completion),
}));

/** SmolLM2-135M's architecture with random weights and an adapter of rank 16 on q_proj and v_proj. */
function adapted() {
  const model = createCausalLm(smolLm2, {
    seed: 0,
    trainable: false,
    storage: process.argv.includes("half") ? "bfloat16" : "float32",
  });
  addLora(model, { rank: 16, seed: 1 });
  return model;
}

function ours(): { parameters: Map<string, tf.Variable>; logProbs: () => tf.Tensor1D } {
  const model = isLora ? adapted() : createCausalLm({ ...gpt2, vocabularySize: vocabulary }, { seed: 0 });
  const rows = tokenRows(
    kind === "unshared"
      ? ["chosen" as const, "rejected" as const].flatMap((side) =>
          tokens.map((t) => ({ prompt: t.prompt, completions: [t[side]] })),
        )
      : tokens.map(({ prompt, chosen, rejected }) => ({ prompt, completions: [chosen, rejected] })),
  );
  const chunk = process.argv.includes("--dense-head") ? 2 * pairs * completion : undefined;
  return {
    parameters: trainableParameters(model),
    logProbs: () => sequenceLogProbs(model, rows, chunk ? { chunk } : {}),
  };
}

function stock(): ReturnType<typeof ours> {
  const weights = stockWeights();
  const sides = [
    ...tokens.map((t) => [...t.prompt, ...t.chosen]),
    ...tokens.map((t) => [...t.prompt, ...t.rejected]),
  ];
  const flat = Int32Array.from(sides.flat());
  return { parameters: weights, logProbs: () => stockLogProbs(weights, flat, 2 * pairs) };
}

const { parameters, logProbs } = kind === "stock" ? stock() : ours();
// Rows that share a prompt hold chosen and rejected in turn; separate ones all chosen first.
const half = (x: tf.Tensor1D) => {
  const [chosen, rejected] =
    kind === "shared" || isLora ? tf.unstack(tf.reshape(x, [pairs, 2]), 1) : tf.split(x, 2);
  return { chosen: chosen as tf.Tensor1D, rejected: rejected as tf.Tensor1D };
};
const cached = tf.tidy(logProbs);
const objective = () =>
  tf.mean(
    preferenceLoss(
      { policy: half(logProbs()), reference: half(cached) },
      { divergence: reverseKl, beta: 0.1 },
    ).loss,
  ) as tf.Scalar;

let losses: number[] = [];
const optimizer = adamW({ learningRate: 1e-4 });
const stockOptimizer = tf.train.adam(1e-4);
const seconds = await timeEach(
  () => {
    if (kind === "stock") {
      const { value, grads } = tf.variableGrads(objective, [...parameters.values()]);
      const norm = tf.tidy(() =>
        tf.sqrt(tf.addN(Object.values(grads).map((gradient) => tf.sum(tf.square(gradient))))),
      );
      const scale = Math.min(1, 1 / norm.dataSync()[0]!);
      const scaled = tf.tidy(() =>
        Object.fromEntries(Object.entries(grads).map(([name, gradient]) => [name, tf.mul(gradient, scale)])),
      );
      stockOptimizer.applyGradients(scaled);
      losses = [...losses, value.dataSync()[0]!];
      tf.dispose([value, norm, grads, scaled]);
      return;
    }
    const { value, gradients } = valueAndGradients(objective, parameters);
    const { scale } = clipByGlobalNorm(gradients, 1);
    optimizer.step(parameters, gradients, { gradientScale: scale });
    losses = [...losses, value.dataSync()[0]!];
    tf.dispose([value, ...gradients.values()]);
  },
  isFirst ? 0 : kind === "stock" ? 1 : isLora ? 2 : 3,
  isFirst ? 1 : kind === "stock" ? 2 : isLora ? 4 : 8,
);
if (!isFirst && !(losses.at(-1)! < losses[0]!))
  throw new Error(`The loss did not fall: ${losses.join(", ")}`);
tell(isFirst ? [sinceStart()] : seconds, { threads, losses });
