import "@tensorflow/tfjs";
import { createCausalLm, tokenLogProbs, tokenRows, trainableParameters } from "@fdiv/models";
import { adamW, clipByGlobalNorm, random, valueAndGradients } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { gpt2, option, setting, tell, text, timeEach } from "./setting.ts";

const { threads } = await startBackend({ backend: text("backend", "wasm"), threads: option("threads", 2) });
const model = createCausalLm(gpt2, { seed: 0 });
const draw = random(1);
const length = setting.prompt + setting.completion;
// The first token is read, all others are scored.
const rows = tokenRows(
  Array.from({ length: 2 * setting.pairs }, () => {
    const ids = Array.from({ length }, () => 3 + draw.integer(setting.vocabulary - 3));
    return { prompt: ids.slice(0, 1), completions: [ids.slice(1)] };
  }),
);
const parameters = trainableParameters(model);
const optimizer = adamW({ learningRate: 1e-4 });
const objective = () => tf.neg(tf.mean(tokenLogProbs(model, rows))) as tf.Scalar;
const losses: number[] = [];
const seconds = await timeEach(
  () => {
    const { value, gradients } = valueAndGradients(objective, parameters);
    const { scale } = clipByGlobalNorm(gradients, 1);
    optimizer.step(parameters, gradients, { gradientScale: scale });
    losses.push(value.dataSync()[0]!);
    tf.dispose([value, ...gradients.values()]);
  },
  3,
  8,
);
if (!(losses.at(-1)! < losses[0]!)) throw new Error(`The loss did not fall: ${losses.join(", ")}`);
tell(seconds, { threads, losses });
