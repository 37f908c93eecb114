import "@tensorflow/tfjs";
import { readdirSync, readFileSync } from "node:fs";
import { valueAndGradients } from "@fdiv/tensor-core";
import { onEachBackend } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeEach, describe, expect, it } from "vitest";
import { createCausalLm } from "./causal-lm.ts";
import { withDropout } from "./dropout.ts";
import { classify } from "./encoders/classify.ts";
import { type Encoder, encoderFrom } from "./encoders/encoder.ts";
import { encoderBatch } from "./encoders/encoder-batch.ts";
import { encoderConfigFromHuggingFace, huggingFaceEncoderConfig } from "./encoders/encoder-families.ts";
import { encoderParameters } from "./encoders/encoder-parameters.ts";
import type { Json } from "./json-field.ts";
import { addLora } from "./lora.ts";
import { disposeModel, type Parameterised, trainableParameters } from "./parameterised.ts";
import { tokenLogProbs } from "./scoring.ts";
import { t5Batch } from "./t5/t5-batch.ts";
import { t5ConfigFrom, t5ConfigJson } from "./t5/t5-config.ts";
import { type T5, t5From } from "./t5/t5-model.ts";
import { t5Parameters } from "./t5/t5-parameters.ts";
import { t5Logits } from "./t5/t5-scoring.ts";
import { hashed, hashedTensors, probesOf } from "./testing/hashed-values.testing.ts";
import { tinyOptions } from "./testing/tiny-models.testing.ts";
import { tokenRows } from "./token-rows.ts";

interface Golden {
  config: Json;
  seed: string;
  names: number[];
  rows: number[][];
  outputs: number[][];
  result: number[];
  gradients: Record<string, [number, number]>;
}

const folder = new URL("./golden/dropout/", import.meta.url);
const cases = readdirSync(folder);
const read = (file: string) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Golden;

interface Case {
  model: Encoder | T5;
  /** Logits of some of the rows. */
  logits(which: number[]): tf.Tensor;
}

async function caseOf({ config: json, rows, outputs }: Golden): Promise<Case> {
  if (json.model_type === "t5") {
    const config = t5ConfigFrom(json);
    const model = await t5From({ config, tensors: hashedTensors(t5Parameters(config)) });
    const items = (which: number[]) => which.map((i) => ({ input: rows[i]!, outputs: [outputs[i]!] }));
    return { model, logits: (which) => t5Logits(model, t5Batch(items(which), config)) };
  }
  const config = { ...encoderConfigFromHuggingFace(json), pooler: json.model_type === "bert" };
  const model = await encoderFrom({ config, tensors: hashedTensors(encoderParameters(config)) });
  const batch = (which: number[]) =>
    encoderBatch(
      which.map((i) => ({ ids: rows[i]! })),
      config.padId,
    );
  return { model, logits: (which) => classify(model, batch(which)) };
}

const all = [0, 1, 2];
const numbers = (x: tf.Tensor): number[] => Array.from(x.dataSync());

it("has its golden files", () => {
  expect(cases.length).toBe(5);
});

describe.each(cases)("%s", (file) => {
  const golden = read(file);
  const draw = <T>(model: Parameterised, f: () => T, which = all, more = {}): T =>
    withDropout(model, { seed: golden.seed, rows: which.map((i) => golden.names[i]!), ...more }, f);

  it.each([false, true])("drops where transformers drops, gradients too (layers computed anew: %s)", (anew) =>
    onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
      const { model, logits } = await caseOf(golden);
      model.gradientCheckpointing = anew;
      const close = (got: number, expected: number, size: number, what: string) =>
        expect(Math.abs(got - expected), what).toBeLessThan(2e-4 * Math.max(1, size));
      const { value, gradients } = valueAndGradients(() => {
        const result = draw(model, () => logits(all));
        numbers(result).forEach((one, i) => {
          close(one, golden.result[i]!, Math.abs(golden.result[i]!), `result ${i}`);
        });
        return tf.sum(tf.mul(result, tf.tensor(hashed("loss", result.size), result.shape))) as tf.Scalar;
      }, trainableParameters(model));
      const probes = probesOf(gradients);
      for (const [name, [length, product]] of Object.entries(golden.gradients)) {
        close(probes.get(name)![0], length, length, name);
        close(probes.get(name)![1], product, length, name);
      }
      expect(model.dropout).toBeUndefined();
      tf.dispose([value, ...gradients.values()]);
      disposeModel(model);
    }),
  );

  it("draws a row's numbers by its name, whatever else is in the batch, and others at another step", async () => {
    await tf.setBackend("cpu");
    const { model, logits } = await caseOf(golden);
    const width = (from: tf.Tensor) => from.shape[1]!;
    const whole = draw(model, () => logits(all));
    // Row 1 is shorter than row 0, so that alone it is padded less.
    const alone = draw(model, () => logits([1]), [1]);
    const before = golden.config.model_type === "t5" ? golden.outputs[0]!.length : 1;
    const own = numbers(whole).slice(before * width(whole), before * width(whole) + alone.size);
    numbers(alone).forEach((value, i) => {
      expect(value).toBeCloseTo(own[i]!, 4);
    });
    const other = draw(model, () => logits([1]), [1], { seed: "step 4" });
    expect(Math.max(...numbers(tf.abs(tf.sub(other, alone))))).toBeGreaterThan(1e-2);
    disposeModel(model);
  });

  it("drops nothing outside of training, nor at rate 0", async () => {
    await tf.setBackend("cpu");
    const { model, logits } = await caseOf(golden);
    const plain = numbers(logits(all));
    expect(numbers(draw(model, () => logits(all), all, { rate: 0 }))).toEqual(plain);
    draw(model, () => logits(all));
    expect(numbers(logits(all))).toEqual(plain);
    expect(numbers(draw(model, () => logits(all), all, { rate: 0.5 }))).not.toEqual(plain);
    expect(() => draw(model, () => logits(all), all, { rate: 1 })).toThrow(/\[0, 1\)/);
    expect(() => draw(model, () => logits([0, 1, 2]), [0, 1])).toThrow(/2 rows are named/);
    disposeModel(model);
  });

  it("keeps its rates in config.json", () => {
    const { config } = golden;
    const isT5 = config.model_type === "t5";
    const written = isT5
      ? t5ConfigJson({ ...t5ConfigFrom(config), huggingFace: {} })
      : huggingFaceEncoderConfig({ ...encoderConfigFromHuggingFace(config), huggingFace: {} });
    const rates = Object.keys(written).filter((key) => /drop/.test(key));
    expect(rates.length).toBe(isT5 ? 1 : 3);
    for (const key of rates) expect(written[key], key).toEqual(config[key]);
  });
});

describe("an adapter's dropout", () => {
  beforeEach(() => tf.setBackend("cpu").then(() => undefined));

  it("leaves the base's part whole, and is the adapter's own mean over the draws", () => {
    const model = createCausalLm({ ...tinyOptions.llama!, initializerRange: 0.2 }, { seed: 1 });
    const rows = tokenRows([{ prompt: [3, 7, 1], completions: [[5, 9, 2, 6]] }]);
    const score = () => numbers(tf.tidy(() => tokenLogProbs(model, rows)));
    const base = score();
    addLora(model, { rank: 2, dropout: 0.5, seed: 2 });
    const drawn = (seed: number) => withDropout(model, { seed, rows: [0] }, score);
    // B is 0 at the start, so there is nothing to drop yet.
    expect(drawn(1)).toEqual(base);
    for (const { b } of model.lora!.adapters.values())
      b.assign(tf.randomNormal(b.shape, 0, 0.3, "float32", 5));
    const adapted = score();
    expect(drawn(1)).not.toEqual(adapted);
    expect(drawn(1)).toEqual(drawn(1));
    expect(drawn(1)).not.toEqual(drawn(2));
    // A rate for the model's own places is none for the adapter's.
    expect(withDropout(model, { seed: 1, rows: [0], rate: 0 }, score)).toEqual(drawn(1));
    disposeModel(model);
  });

  it("is drawn alike when layers are computed anew", () => {
    const model = createCausalLm({ ...tinyOptions.gpt2!, initializerRange: 0.2 }, { seed: 1 });
    const rows = tokenRows([3, 5].map((id) => ({ prompt: [id, 7], completions: [[5, 9, id]] })));
    addLora(model, { rank: 2, dropout: 0.5, seed: 2 });
    for (const { b } of model.lora!.adapters.values())
      b.assign(tf.randomNormal(b.shape, 0, 0.3, "float32", 5));
    const grade = (anew: boolean) => {
      model.gradientCheckpointing = anew;
      const loss = () =>
        withDropout(model, { seed: 4, rows: ["a", "b"] }, () =>
          tf.sum(tokenLogProbs(model, rows)),
        ) as tf.Scalar;
      return valueAndGradients(loss, trainableParameters(model)).gradients;
    };
    const [plain, anew] = [grade(false), grade(true)];
    for (const [name, gradient] of plain)
      numbers(anew.get(name)!).forEach((value, i) => {
        expect(value, name).toBeCloseTo(gradient.dataSync()[i]!, 5);
      });
    disposeModel(model);
  });
});
