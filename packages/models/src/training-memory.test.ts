import "@tensorflow/tfjs";
import { random, valueAndGradients } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { createCausalLm } from "./causal-lm.ts";
import { addLora } from "./lora.ts";
import { disposeModel, trainableParameters } from "./parameterised.ts";
import { sequenceLogProbs } from "./scoring.ts";
import { tokenRows } from "./token-rows.ts";
import { activationBytes } from "./training-memory.ts";

const sizes = {
  vocabularySize: 300,
  hiddenSize: 64,
  intermediateSize: 176,
  layers: 8,
  heads: 4,
  maxPositions: 64,
};
const draw = random("memory");
const rows = tokenRows(
  Array.from({ length: 12 }, () => ({
    prompt: [1],
    completions: [Array.from({ length: 40 }, () => draw.integer(300))],
  })),
);

/** The most bytes of tensors made since then that exist at a time, each counted once, however many handles it has. */
function watchTensors(): { peak(): number } {
  const backend = tf.backend() as unknown as {
    makeOutput(shape: number[], dtype: string): tf.TensorInfo;
    disposeData(dataId: object, force?: boolean): boolean;
  };
  const { makeOutput, disposeData } = backend;
  const sizes = new Map<object, number>();
  let live = 0;
  let most = 0;
  backend.makeOutput = (shape, dtype) => {
    const info = makeOutput.call(backend, shape, dtype);
    const bytes = 4 * shape.reduce((product, size) => product * size, 1);
    sizes.set(info.dataId, bytes);
    live += bytes;
    most = Math.max(most, live);
    return info;
  };
  backend.disposeData = (dataId, force) => {
    const gone = disposeData.call(backend, dataId, force);
    if (gone) live -= sizes.get(dataId) ?? 0;
    if (gone) sizes.delete(dataId);
    return gone;
  };
  return {
    peak() {
      Object.assign(backend, { makeOutput, disposeData });
      return most;
    },
  };
}

it.each([
  ["llama", "adapters", true],
  ["llama", "adapters", false],
  ["llama", "weights", true],
  ["llama", "weights", false],
  ["gpt2", "weights", true],
  ["gpt2", "adapters", false],
] as const)(
  "tells what a step of %s takes that trains %s, checkpointing %s",
  async (modelType, trains, gradientCheckpointing) => {
    await startBackend({ backend: "wasm" });
    const model = createCausalLm({ modelType, ...sizes }, { seed: 1 });
    if (trains === "adapters") addLora(model, { rank: 2, seed: 1 });
    model.gradientCheckpointing = gradientCheckpointing;
    const parameters = trainableParameters(model);
    const trained = [...parameters.values()].reduce((sum, { size }) => sum + 4 * size, 0);
    const step = () => {
      const loss = () => tf.neg(tf.sum(sequenceLogProbs(model, rows))) as tf.Scalar;
      const { value, gradients } = valueAndGradients(loss, parameters);
      tf.dispose([value, ...gradients.values()]);
    };
    const tensors = watchTensors();
    step();
    const tokens = rows.rows * rows.length;
    const expected = trained + activationBytes(model.config, { tokens, gradientCheckpointing, trains });
    // The chunk of logits is scratch memory here, and no tensor.
    const measured = tensors.peak() + 2 * 4 * tokens * sizes.vocabularySize;
    expect(expected / measured).toBeGreaterThan(0.9);
    expect(expected / measured).toBeLessThan(1.6);
    disposeModel(model);
  },
);
