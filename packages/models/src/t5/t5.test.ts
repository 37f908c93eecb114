import "@tensorflow/tfjs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adamW, encodeSafetensors, random, valueAndGradients } from "@fdiv/tensor-core";
import { assertNoLeak, onEachBackend } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadT5, saveT5 } from "../node/load-t5.ts";
import { modelKind, modelKindOf } from "../node/model-kind.ts";
import { disposeModel, trainableParameters } from "../parameterised.ts";
import { selectT5Layers } from "./select-layers.ts";
import { t5Batch } from "./t5-batch.ts";
import type { T5Options } from "./t5-config.ts";
import { generateSeq2Seq, streamSeq2Seq } from "./t5-generate.ts";
import { createT5, type T5 } from "./t5-model.ts";
import { seq2seqLogProbs, t5Logits, t5TokenLogProbs } from "./t5-scoring.ts";

const sizes: T5Options = { vocabularySize: 17, hiddenSize: 16, intermediateSize: 24, layers: 2, heads: 4 };
const kinds: Record<string, T5Options> = {
  "version 1.0": sizes,
  "version 1.1": { ...sizes, headSize: 8, decoderLayers: 3, gated: true, tiedHead: false },
};
const gated = kinds["version 1.1"]!;
const make = (options: T5Options = gated, seed = 2): T5 => createT5(options, { seed });
const inputs = [
  [3, 4, 5, 6, 1],
  [7, 1],
  [8, 9, 10, 1],
];

let folder: string;
beforeEach(async () => {
  await tf.setBackend("cpu");
  folder = await mkdtemp(join(tmpdir(), "fdiv-t5-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe.each(Object.entries(kinds))("T5 %s", (_, options) => {
  const model = () => make(options);

  it("samples from its own law: every draw's log-probability is the teacher-forced one", () =>
    onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
      const t5 = model();
      const law = { maxTokens: 9, temperature: 0.7, topK: 5, topP: 0.9, ignoreEos: true };
      const drawn = await generateSeq2Seq(t5, { inputs, ...law, seed: 4 });
      const batch = t5Batch(
        inputs.map((input, i) => ({ input, outputs: [drawn.ids[i]!] })),
        t5.config,
      );
      const expected = t5TokenLogProbs(t5, batch).dataSync();
      const logits = t5Logits(t5, batch).arraySync() as number[][];
      drawn.ids.forEach((ids, row) => {
        ids.forEach((id, t) => {
          const at = row * 9 + t;
          expect(drawn.policyLogProbs[row]![t]).toBeCloseTo(expected[at]!, 4);
          // The law sampled from: the five likeliest at temperature 0.7, of them the nucleus, renormalised.
          const tempered = logits[at]!.map((logit, i) => ({ i, p: Math.exp(logit / 0.7) })).sort(
            (a, b) => b.p - a.p,
          );
          const top = tempered.slice(0, 5);
          const total = top.reduce((sum, { p }) => sum + p, 0);
          let kept = 0;
          const nucleus = top.filter(({ p }) => {
            const inside = kept < 0.9 * total;
            if (inside) kept += p;
            return inside;
          });
          const mine = nucleus.find(({ i }) => i === id);
          expect(mine).toBeDefined();
          expect(drawn.logProbs[row]![t]).toBeCloseTo(Math.log(mine!.p / kept), 4);
        });
      });
      disposeModel(t5);
    }));

  it("draws a row alike alone and in a batch, also when others end before", async () => {
    const t5 = model();
    const options = { maxTokens: 8, seed: 9, stop: [2, 3, 4, 5] };
    const together = await generateSeq2Seq(t5, { inputs, ...options });
    for (const [row, input] of inputs.entries()) {
      const alone = await generateSeq2Seq(t5, { inputs: [input], ...options, firstRow: row });
      expect(alone.ids[0]).toEqual(together.ids[row]);
      expect(alone.finished[0]).toBe(together.finished[row]);
    }
    expect(new Set(together.ids.map(({ length }) => length)).size).toBeGreaterThan(1);
  });

  it("scores many outputs of one input as it scores each alone", () => {
    const t5 = model();
    const outputs = [[5, 1], [6, 7, 8, 1], [1]];
    const many = t5Batch(
      [
        { input: inputs[0]!, outputs },
        { input: inputs[1]!, outputs: [[4, 1]] },
      ],
      t5.config,
    );
    const each = outputs.map(
      (ids) =>
        seq2seqLogProbs(t5, t5Batch([{ input: inputs[0]!, outputs: [ids] }], t5.config)).dataSync()[0]!,
    );
    each.push(
      seq2seqLogProbs(t5, t5Batch([{ input: inputs[1]!, outputs: [[4, 1]] }], t5.config)).dataSync()[0]!,
    );
    seq2seqLogProbs(t5, many)
      .dataSync()
      .forEach((value, i) => {
        expect(value).toBeCloseTo(each[i]!, 4);
      });
  });

  it("keeps a folder whole", async () => {
    const t5 = model();
    await saveT5(t5, join(folder, "model"));
    expect(await modelKind(join(folder, "model"))).toBe("encoder-decoder");
    const back = await loadT5(join(folder, "model"), { trainable: false });
    expect({ ...back.config, huggingFace: {} }).toEqual(t5.config);
    expect(new Set(back.parameters.keys())).toEqual(new Set(t5.parameters.keys()));
    for (const [name, tensor] of t5.parameters)
      expect(back.parameters.get(name)!.dataSync()).toEqual(tensor.dataSync());
    expect(trainableParameters(back).size).toBe(0);
  });
});

describe("T5", () => {
  it("learns to write its input's last token and then the first", () =>
    onEachBackend(["wasm"], async () => {
      const t5 = make({ ...gated, vocabularySize: 8, layers: 1, decoderLayers: 1 }, 5);
      const draws = random(3);
      const example = () => {
        const ids = Array.from({ length: 2 + draws.integer(3) }, () => 2 + draws.integer(6));
        return { input: [...ids, 1], outputs: [[ids.at(-1)!, ids[0]!, 1]] };
      };
      const parameters = trainableParameters(t5);
      const optimizer = adamW({ weightDecay: 0 });
      let loss = 2;
      for (let step = 0; step < 600 && loss > 0.05; step++) {
        const batch = t5Batch(Array.from({ length: 24 }, example), t5.config);
        const { value, gradients } = valueAndGradients(
          () => tf.neg(tf.mean(t5TokenLogProbs(t5, batch))) as tf.Scalar,
          parameters,
        );
        optimizer.step(parameters, gradients, { learningRate: 1e-2 });
        loss = 0.9 * loss + 0.1 * value.dataSync()[0]!;
        tf.dispose([value, ...gradients.values()]);
      }
      const tests = Array.from({ length: 40 }, example);
      const { ids } = await generateSeq2Seq(t5, {
        inputs: tests.map(({ input }) => input),
        maxTokens: 6,
        temperature: 0,
      });
      const right = tests.filter(({ outputs }, i) => outputs[0]!.join() === ids[i]!.join()).length;
      expect(right).toBeGreaterThanOrEqual(36);
      optimizer.dispose();
      disposeModel(t5);
    }));

  it("makes students of layers of each stack, which keep the tables of distances", () => {
    const t5 = make();
    const batch = t5Batch([{ input: inputs[0]!, outputs: [[5, 6, 1]] }], t5.config);
    const run = (model: T5) => Array.from(t5Logits(model, batch).dataSync());
    const all = selectT5Layers(t5, { encoder: [0, 1], decoder: [0, 1, 2] });
    expect(run(all)).toEqual(run(t5));
    const student = selectT5Layers(t5, { encoder: [1], decoder: 2 });
    expect(student.config).toMatchObject({ layers: 1, decoderLayers: 2 });
    const table = "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
    expect(student.parameters.get(table)!.dataSync()).toEqual(t5.parameters.get(table)!.dataSync());
    expect(student.parameters.get("encoder.block.0.layer.1.layer_norm.weight")!.dataSync()).toEqual(
      t5.parameters.get("encoder.block.1.layer.1.layer_norm.weight")!.dataSync(),
    );
    expect(student.parameters.get("decoder.block.1.layer.0.SelfAttention.q.weight")!.dataSync()).toEqual(
      t5.parameters.get("decoder.block.2.layer.0.SelfAttention.q.weight")!.dataSync(),
    );
    expect(run(student).every(Number.isFinite)).toBe(true);
    expect(() => selectT5Layers(t5, { encoder: [2], decoder: [0] })).toThrow("there is no layer 2");
  });

  it("leaves no tensor behind, also when left early", () =>
    assertNoLeak(async () => {
      const t5 = make();
      await generateSeq2Seq(t5, { inputs, maxTokens: 6, stop: [2, 3, 4, 5, 6, 7] });
      for await (const token of streamSeq2Seq(t5, { inputs, maxTokens: 6 })) if (token.index === 2) break;
      const batch = t5Batch([{ input: [4, 1], outputs: [[5, 1]] }], t5.config);
      const { value, gradients } = valueAndGradients(
        () => tf.sum(seq2seqLogProbs(t5, batch)) as tf.Scalar,
        trainableParameters(t5),
      );
      tf.dispose([value, ...gradients.values()]);
      disposeModel(selectT5Layers(t5, { encoder: 1, decoder: 1 }));
      disposeModel(t5);
    }));

  it("reads the names of old: copies of the shared table, a head that is a copy, another kind of head", async () => {
    const t5 = make(kinds["version 1.0"]);
    const path = join(folder, "old");
    await saveT5(t5, path);
    const entry = (name: string, tensor: tf.Tensor) => ({
      ...{ name, dtype: "F32" as const, shape: tensor.shape },
      data: tensor.dataSync() as Float32Array,
    });
    const shared = t5.parameters.get("shared.weight")!;
    const tensors = [
      ...Array.from(t5.parameters, ([name, tensor]) => entry(name, tensor)),
      ...["encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"].map((name) =>
        entry(name, shared),
      ),
    ];
    await writeFile(join(path, "model.safetensors"), await encodeSafetensors(tensors));
    const back = await loadT5(path);
    expect(back.config).toMatchObject({ tiedHead: true, scaledHead: true });
    expect(back.parameters.size).toBe(t5.parameters.size);
    tensors[tensors.length - 1] = entry("lm_head.weight", tf.add(shared, 1));
    await writeFile(join(path, "model.safetensors"), await encodeSafetensors(tensors));
    expect((await loadT5(path)).config).toMatchObject({ tiedHead: false, scaledHead: true });
  });

  it("refuses what does not fit, saying what", async () => {
    const t5 = make();
    await expect(generateSeq2Seq(t5, { inputs: [[]], maxTokens: 3 })).rejects.toThrow("item 0 has no token");
    await expect(generateSeq2Seq(t5, { inputs, maxTokens: 0 })).rejects.toThrow(
      "maxTokens must be a whole number",
    );
    expect(() => t5Batch([{ input: [1], outputs: [[]] }], t5.config)).toThrow("output 0 has no token");
    expect(() => make({ ...gated, distanceBuckets: 6 })).toThrow("distanceBuckets must be a multiple of 4");
    expect(() => make({ ...gated, modelType: "bart" })).toThrow('model type "bart" is no T5');
    expect(() => modelKindOf("bart")).toThrow("supported are llama, mistral, qwen2, gpt2, bert");
    await saveT5(t5, join(folder, "model"));
    const config = JSON.parse(await readFile(join(folder, "model/config.json"), "utf8"));
    await writeFile(join(folder, "model/config.json"), JSON.stringify({ ...config, num_layers: 3 }));
    await expect(loadT5(join(folder, "model"))).rejects.toThrow(/missing \(9\):\s+encoder\.block\.2/);
  });
});
