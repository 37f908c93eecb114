import "@tensorflow/tfjs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adamW, crossEntropy, encodeSafetensors, random, valueAndGradients } from "@fdiv/tensor-core";
import { assertNoLeak, onEachBackend } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { withDropout } from "../dropout.ts";
import { loadEncoder, saveEncoder } from "../node/load-encoder.ts";
import { copyModel, disposeModel, trainableParameters } from "../parameterised.ts";
import { huggingFaceTokenizer } from "../tokenizer/hugging-face-tokenizer.ts";
import { wordPieceFiles } from "../tokenizer/word-piece.ts";
import { classify, classifyTexts } from "./classify.ts";
import { embed, embedTexts } from "./embed.ts";
import { encode, encodeFirst, firstStates } from "./encode.ts";
import { createEncoder, type Encoder } from "./encoder.ts";
import { encoderBatch, textBatch } from "./encoder-batch.ts";
import type { EncoderOptions } from "./encoder-config.ts";

const pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "##s", "a", "very"];
const tokenizer = huggingFaceTokenizer(wordPieceFiles({ pieces, lowercase: true }));
const sizes: EncoderOptions = {
  modelType: "bert",
  vocabularySize: pieces.length,
  hiddenSize: 16,
  intermediateSize: 32,
  layers: 2,
  heads: 4,
  positions: 12,
};
const make = (options: Partial<EncoderOptions> = {}): Encoder =>
  createEncoder({ ...sizes, ...options }, { seed: 3, tokenizer });
const classes = { task: "classification" as const, labels: ["no", "yes"] };

let folder: string;
const at = (name: string) => join(folder, name);
beforeEach(async () => {
  await tf.setBackend("cpu");
  folder = await mkdtemp(join(tmpdir(), "fdiv-encoders-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("an encoder", () => {
  it("does not let padding or the other rows of a batch change a row", () =>
    onEachBackend(["cpu", "wasm", "tensorflow"], () => {
      const model = make({ initializerRange: 0.5 });
      const rows = [
        [2, 4, 6, 3],
        [2, 5, 3],
        [2, 8, 9, 4, 6, 7, 3],
      ].map((ids) => ({ ids }));
      const together = encode(model, encoderBatch(rows));
      rows.forEach((row, i) => {
        const alone = encode(model, encoderBatch([row])).dataSync();
        const own = tf.slice(together, [i, 0, 0], [1, row.ids.length, -1]).dataSync();
        for (const [j, value] of own.entries()) expect(value).toBeCloseTo(alone[j]!, 4);
      });
      disposeModel(model);
    }));

  it.each([
    ["without dropout", 0],
    ["with the draws that dropout makes for all tokens", 0.3],
  ])("computes first states alone as it does among all, gradients included, %s", (_, rate) =>
    onEachBackend(["cpu", "wasm", "tensorflow"], () => {
      const model = make({ initializerRange: 0.5 });
      const batch = encoderBatch([{ ids: [2, 4, 6, 3] }, { ids: [2, 5, 3] }]);
      const weights = tf.tensor2d(random(5).normal(32), [2, 16]);
      const parameters = new Map(
        [...trainableParameters(model)].filter(([name]) => !name.startsWith("bert.pooler")),
      );
      const grade = (states: () => tf.Tensor3D) =>
        valueAndGradients(
          () =>
            withDropout(model, { seed: 1, rows: ["a", "b"], rate }, () =>
              tf.sum(tf.mul(firstStates(states()), weights)),
            ) as tf.Scalar,
          parameters,
        );
      const alone = grade(() => encodeFirst(model, batch));
      const among = grade(() => encode(model, batch));
      expect(alone.value.dataSync()[0]).toBeCloseTo(among.value.dataSync()[0]!, 4);
      for (const [name, gradient] of alone.gradients) {
        const expected = among.gradients.get(name)!.dataSync();
        for (const [i, value] of gradient.dataSync().entries())
          expect(value, name).toBeCloseTo(expected[i]!, 4);
      }
      disposeModel(model);
    }),
  );

  it("sees a token before and one behind alike, and the token types", () => {
    const model = make({ initializerRange: 0.5 });
    const firstOf = (ids: number[], types?: number[]) =>
      encode(model, encoderBatch([{ ids, ...(types && { types }) }]))
        .dataSync()
        .slice(0, 16);
    const base = firstOf([2, 4, 6, 3]);
    const distance = (other: ArrayLike<number>) => Math.max(...base.map((x, i) => Math.abs(x - other[i]!)));
    expect(distance(firstOf([2, 4, 6, 9]))).toBeGreaterThan(0.01);
    expect(distance(firstOf([2, 4, 6, 3], [0, 0, 1, 1]))).toBeGreaterThan(0.01);
    expect(distance(firstOf([2, 4, 6, 3], [0, 0, 0, 0]))).toBe(0);
  });

  it("refuses what does not fit, saying what", () => {
    const model = make();
    expect(() => encode(model, encoderBatch([{ ids: new Array(13).fill(4) }]))).toThrow(
      "an input of 13 tokens does not fit the encoder's 12 positions",
    );
    expect(() => encode(model, encoderBatch([{ ids: [10] }]))).toThrow(
      /is 10, expected an index in \[0, 10\)/,
    );
    expect(() => encode(model, encoderBatch([{ ids: [4], types: [2] }]))).toThrow(
      /expected an index in \[0, 2\)/,
    );
    expect(() => encoderBatch([{ ids: [] }])).toThrow("item 0 has no token");
    expect(() => encoderBatch([{ ids: [1, 2], types: [0] }])).toThrow("2 ids and 1 token types");
    expect(() => classify(model, encoderBatch([{ ids: [4] }]))).toThrow("the encoder has no head");
    expect(() => textBatch(model, ["good"], { maxLength: 13 })).toThrow("from 1 to the model's 12 positions");
    expect(() => textBatch(model, ["good"], { maxLength: 2 })).toThrow("the model's template alone takes 2");
    expect(() => createEncoder({ ...sizes, modelType: "llama" }, { seed: 1 })).toThrow("is no encoder");
    expect(() => make({ heads: 3 })).toThrow("hiddenSize (16) must be a multiple of heads (3)");
  });

  it("embeds on the unit sphere, whatever the texts' order and batches", async () => {
    const model = make({ initializerRange: 0.5 });
    const texts = ["good films", "a very very bad film", "good", "a film"];
    const one = await embedTexts(model, texts);
    const cut = await embedTexts(model, [...texts].reverse(), { batchTokens: 1 });
    one.forEach((embedding, i) => {
      expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
      const other = cut[texts.length - 1 - i]!;
      for (const [d, x] of embedding.entries()) expect(x).toBeCloseTo(other[d]!, 5);
    });
    const first = embed(model, textBatch(model, texts), { pooling: "first", normalise: false });
    const states = encode(model, textBatch(model, texts));
    expect(first.dataSync()).toEqual(tf.slice(states, [0, 0, 0], [-1, 1, -1]).dataSync());
    expect(embed(model, textBatch(model, texts), { pooling: "pooler", normalise: false }).shape).toEqual([
      4, 16,
    ]);
  });

  it("leaves no tensor behind", () =>
    assertNoLeak(async () => {
      const model = make({ head: classes });
      await classifyTexts(model, ["good", ["bad film", "a"]]);
      await embedTexts(model, ["good"]);
      const loss = valueAndGradients(
        () => tf.sum(classify(model, textBatch(model, ["good", "bad"]))) as tf.Scalar,
        trainableParameters(model),
      );
      tf.dispose([loss.value, ...loss.gradients.values()]);
      const copy = copyModel(model);
      disposeModel(copy);
      disposeModel(model);
    }));
});

describe("a head", () => {
  it.each(["bert", "roberta", "distilbert"])("learns a task on %s", (modelType) =>
    onEachBackend(["wasm"], async () => {
      // The label says whether the two texts have their first word in common: neither text alone tells.
      const model = createEncoder(
        { ...sizes, modelType, vocabularySize: 10, positions: 16, initializerRange: 0.1, head: classes },
        { seed: 7 },
      );
      const draws = random(1);
      const example = () => {
        const [a, b] = [5 + draws.integer(3), 5 + draws.integer(3)];
        return { ids: [2, a, 3, b, 3], types: [0, 0, 0, 1, 1], label: Number(a === b) };
      };
      const parameters = trainableParameters(model);
      const optimizer = adamW({ weightDecay: 0.01 });
      let loss = 1;
      for (let step = 0; step < 500 && loss > 0.02; step++) {
        const examples = Array.from({ length: 32 }, example);
        const { value, gradients } = valueAndGradients(
          () =>
            tf.mean(
              crossEntropy(
                classify(model, encoderBatch(examples)),
                tf.tensor1d(
                  examples.map(({ label }) => label),
                  "int32",
                ),
              ),
            ),
          parameters,
        );
        optimizer.step(parameters, gradients, { learningRate: 3e-3 });
        loss = 0.8 * loss + 0.2 * value.dataSync()[0]!;
        tf.dispose([value, ...gradients.values()]);
      }
      const tests = Array.from({ length: 100 }, example);
      const said = tf.tidy(() => tf.argMax(classify(model, encoderBatch(tests)), 1).dataSync());
      const right = tests.filter(({ label }, i) => label === said[i]).length;
      expect(right).toBeGreaterThanOrEqual(97);
      optimizer.dispose();
      disposeModel(model);
    }),
  );

  it("gives probabilities of classes, of each label alone, or a regression's number", async () => {
    const texts = ["good", "bad film"];
    const of = (task: "classification" | "multiLabel" | "regression") => {
      const model = make({ initializerRange: 0.5, head: { task, labels: ["a", "b", "c"] } });
      return classifyTexts(model, texts).then((out) => ({
        out,
        logits: classify(model, textBatch(model, texts)).arraySync() as number[][],
      }));
    };
    const classification = await of("classification");
    for (const row of classification.out) expect(row.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
    const multi = await of("multiLabel");
    expect(multi.out[1]![2]).toBeCloseTo(1 / (1 + Math.exp(-multi.logits[1]![2]!)), 5);
    const regression = await of("regression");
    expect(regression.out[1]![2]).toBeCloseTo(regression.logits[1]![2]!, 5);
  });
});

describe("a folder", () => {
  it.each(["bert", "roberta", "distilbert"])("keeps a %s classifier whole", async (modelType) => {
    const head = { task: "classification" as const, labels: ["no", "maybe", "yes"] };
    const model = createEncoder({ ...sizes, modelType, positions: 16, head }, { seed: 1, tokenizer });
    await saveEncoder(model, at("model"));
    const back = await loadEncoder(at("model"), { trainable: false });
    expect({ ...back.config, huggingFace: {} }).toEqual(model.config);
    expect(new Set(back.parameters.keys())).toEqual(new Set(model.parameters.keys()));
    for (const [name, tensor] of model.parameters)
      expect(back.parameters.get(name)!.dataSync()).toEqual(tensor.dataSync());
    expect(trainableParameters(back).size).toBe(0);
    expect(back.tokenizer!.fingerprint).toBe(tokenizer.fingerprint);
    await expect(loadEncoder(at("model"), { labels: 2 })).rejects.toThrow(
      'the checkpoint\'s head has the labels no, maybe, yes, but LABEL_0, LABEL_1 are asked; leave labels away to use its own, or ask for head: "fresh"',
    );
    const fresh = await loadEncoder(at("model"), { labels: ["x", "y"], head: "fresh", seed: 5 });
    expect(fresh.config.head).toEqual({ task: "classification", labels: ["x", "y"] });
    const bare = await loadEncoder(at("model"), { task: "none" });
    expect(bare.config.head).toBeUndefined();
  });

  it("gives a bare encoder a fresh head, the same for the same seed", async () => {
    await saveEncoder(make(), at("bare"));
    const json = JSON.parse(await readFile(at("bare/config.json"), "utf8"));
    expect(json.architectures).toEqual(["BertModel"]);
    const load = (seed: number) => loadEncoder(at("bare"), { labels: ["no", "yes"], seed });
    const [one, same, other] = [await load(1), await load(1), await load(2)];
    const weight = (model: Encoder) => model.parameters.get("classifier.weight")!.dataSync();
    expect(weight(one)).toEqual(weight(same));
    expect(weight(one)).not.toEqual(weight(other));
    const score = await loadEncoder(at("bare"), { task: "regression" });
    expect(score.config.head).toEqual({ task: "regression", labels: ["LABEL_0"] });
    await expect(loadEncoder(at("bare"), { task: "classification" })).rejects.toThrow("needs labels");
  });

  it("reads pre-training's names: a prefix, TensorFlow's gamma and beta, heads of other tasks, no pooler", async () => {
    const model = make({ pooler: false });
    await saveEncoder(model, at("bare"));
    const read = Array.from(model.parameters, ([name, tensor]) => ({
      name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
      dtype: "F32" as const,
      shape: tensor.shape,
      data: tensor.dataSync() as Float32Array,
    }));
    const extra = (name: string, shape: number[]) => ({
      ...{ name, dtype: "F32" as const, shape },
      data: new Float32Array(shape.reduce((a, b) => a * b)),
    });
    const tensors = [...read, extra("cls.predictions.bias", [10]), extra("classifier.weight", [2, 16])];
    await writeFile(at("bare/model.safetensors"), await encodeSafetensors(tensors));
    const json = JSON.parse(await readFile(at("bare/config.json"), "utf8"));
    await writeFile(
      at("bare/config.json"),
      JSON.stringify({ ...json, architectures: ["BertForTokenClassification"] }),
    );
    const back = await loadEncoder(at("bare"));
    expect(back.config).toMatchObject({ pooler: false });
    expect(back.config.head).toBeUndefined();
    for (const [name, tensor] of model.parameters)
      expect(back.parameters.get(name)!.dataSync()).toEqual(tensor.dataSync());
    const classifier = await loadEncoder(at("bare"), { labels: 2 });
    expect(classifier.parameters.has("bert.pooler.dense.weight")).toBe(true);
  });

  it("says what a checkpoint lacks", async () => {
    await saveEncoder(make(), at("bare"));
    const json = JSON.parse(await readFile(at("bare/config.json"), "utf8"));
    const write = (changes: object) =>
      writeFile(at("bare/config.json"), JSON.stringify({ ...json, ...changes }));
    await write({ num_hidden_layers: 3 });
    await expect(loadEncoder(at("bare"))).rejects.toThrow(
      /missing \(16\):\s+bert\.encoder\.layer\.2\.attention/,
    );
    await saveEncoder(make({ head: classes, pooler: false }), at("headless"));
    await expect(loadEncoder(at("headless"))).rejects.toThrow(/missing \(2\):\s+bert\.pooler\.dense\.weight/);
    await write({ position_embedding_type: "relative_key" });
    await expect(loadEncoder(at("bare"))).rejects.toThrow(
      'position_embedding_type "relative_key" is not supported',
    );
    await write({ model_type: "deberta" });
    await expect(loadEncoder(at("bare"))).rejects.toThrow('model type "deberta" is no encoder');
    await expect(loadEncoder(at("nowhere"))).rejects.toThrow("no such folder");
  });
});
