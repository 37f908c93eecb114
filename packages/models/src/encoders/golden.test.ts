import "@tensorflow/tfjs";
import { readdirSync, readFileSync } from "node:fs";
import { crossEntropy, valueAndGradients } from "@fdiv/tensor-core";
import { onEachBackend } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import type { Json } from "../json-field.ts";
import { disposeModel, trainableParameters } from "../parameterised.ts";
import { hashed, hashedTensors, probesOf } from "../testing/hashed-values.testing.ts";
import { classify } from "./classify.ts";
import { encode } from "./encode.ts";
import { type Encoder, encoderFrom } from "./encoder.ts";
import { encoderBatch } from "./encoder-batch.ts";
import type { EncoderConfig } from "./encoder-config.ts";
import { encoderConfigFromHuggingFace, huggingFaceEncoderConfig } from "./encoder-families.ts";
import { encoderParameters } from "./encoder-parameters.ts";

interface Golden {
  config: Json;
  task: "classification" | "regression" | "bare";
  rows: number[][];
  types: number[][];
  labels: number[];
  targets: number[];
  result: number[];
  loss: number;
  gradients: Record<string, [number, number]>;
}

const folder = new URL("./golden/", import.meta.url);
const cases = readdirSync(folder).filter((name) => /berta?-.*\.json$/.test(name));

function modelOf(json: Json, bare: boolean): Promise<Encoder> {
  const { head, ...rest } = encoderConfigFromHuggingFace(json);
  const config: EncoderConfig = {
    ...rest,
    pooler: json.model_type === "bert" && !bare,
    ...(!bare && head && { head }),
  };
  return encoderFrom({ config, tensors: hashedTensors(encoderParameters(config)) });
}

it("has its golden files", () => {
  expect(cases.length).toBe(7);
});

describe.each(cases)("%s", (file) => {
  const golden = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Golden;
  const { rows, types, task } = golden;
  const batch = encoderBatch(
    rows.map((ids, row) => ({ ids, types: types[row]! })),
    golden.config.pad_token_id as number,
  );

  /** The states of real tokens, or the logits. */
  const resultOf = (model: Encoder): tf.Tensor => {
    if (task !== "bare") return classify(model, batch);
    const real = batch.ids.map((_, i) =>
      Number(i % batch.length < batch.lengths[Math.floor(i / batch.length)]!),
    );
    return tf.mul(encode(model, batch), tf.tensor3d(real, [batch.rows, batch.length, 1], "float32"));
  };
  const lossOf = (result: tf.Tensor): tf.Scalar => {
    if (task === "bare") return tf.sum(tf.mul(result, tf.tensor(hashed("loss", result.size), result.shape)));
    if (task === "classification") return tf.mean(crossEntropy(result, tf.tensor1d(golden.labels, "int32")));
    return tf.mean(tf.square(tf.sub(tf.reshape(result, [-1]), golden.targets)));
  };

  it.each([false, true])(
    "computes what transformers computes, gradients too (layers computed anew: %s)",
    (anew) =>
      onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
        const model = await modelOf(golden.config, task === "bare");
        model.gradientCheckpointing = anew;
        const result = resultOf(model);
        result.dataSync().forEach((value, i) => {
          const expected = golden.result[i]!;
          expect(Math.abs(value - expected), `result ${i}`).toBeLessThan(
            1e-4 * Math.max(1, Math.abs(expected)),
          );
        });
        const { value, gradients } = valueAndGradients(
          () => lossOf(resultOf(model)),
          trainableParameters(model),
        );
        expect(Math.abs(value.dataSync()[0]! - golden.loss)).toBeLessThan(
          1e-4 * Math.max(1, Math.abs(golden.loss)),
        );
        const probes = probesOf(gradients);
        for (const [name, [length, product]] of Object.entries(golden.gradients)) {
          const got = probes.get(name);
          expect(got, name).toBeDefined();
          expect(Math.abs(got![0] - length), name).toBeLessThan(1e-4 * length + 1e-5);
          expect(Math.abs(got![1] - product), name).toBeLessThan(2e-4 * length + 1e-5);
        }
        tf.dispose([result, value, ...gradients.values()]);
        disposeModel(model);
      }),
  );

  it("computes the same from the config that it writes", async () => {
    await tf.setBackend("cpu");
    const once = await modelOf(golden.config, task === "bare");
    const written = huggingFaceEncoderConfig({ ...once.config, huggingFace: {} });
    const model = await modelOf(written, task === "bare");
    expect({ ...model.config, huggingFace: {} }).toEqual({ ...once.config, huggingFace: {} });
    expect(resultOf(model).dataSync()).toEqual(resultOf(once).dataSync());
  });
});
