import "@tensorflow/tfjs";
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openSafetensors } from "@fdiv/tensor-core/node";
import { onEachBackend } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { causalLmFrom } from "../causal-lm.ts";
import { classify } from "../encoders/classify.ts";
import { encode } from "../encoders/encode.ts";
import { type Encoder, encoderFrom } from "../encoders/encoder.ts";
import { encoderBatch } from "../encoders/encoder-batch.ts";
import {
  encoderConfigFromHuggingFace,
  encoderFamilies,
  huggingFaceEncoderConfig,
} from "../encoders/encoder-families.ts";
import { encoderParameters } from "../encoders/encoder-parameters.ts";
import { configFromHuggingFace, familyOf } from "../families.ts";
import type { Json } from "../json-field.ts";
import type { Adaptable } from "../lora-architecture.ts";
import { mergeLora, unmergeLora, withoutAdapter } from "../lora-merge.ts";
import { copyModel, disposeModel, trainableParameters } from "../parameterised.ts";
import { logits } from "../scoring.ts";
import { t5Batch } from "../t5/t5-batch.ts";
import { t5ConfigFrom } from "../t5/t5-config.ts";
import { type T5, t5From } from "../t5/t5-model.ts";
import { t5Parameters } from "../t5/t5-parameters.ts";
import { t5Logits } from "../t5/t5-scoring.ts";
import { hashedTensors } from "../testing/hashed-values.testing.ts";
import { tokenRows } from "../token-rows.ts";
import { loadAdapter, saveAdapter } from "./adapter-folder.ts";
import { loadEncoder, saveEncoder } from "./load-encoder.ts";
import { loadT5, saveT5 } from "./load-t5.ts";
import { modelKind } from "./model-kind.ts";

interface Golden {
  config: Json & { model_type: string; architectures: string[] };
  ids: number[];
  output: number[];
  result: number[];
  base: number[];
}

const folder = fileURLToPath(new URL("../golden/adapters/", import.meta.url));
const read = async (path: string) => JSON.parse(await readFile(join(folder, path), "utf8"));
const cases = await readdir(folder);
const temporary = () => mkdtemp(join(tmpdir(), "fdiv-adapter-"));

const isEncoder = (json: Golden["config"]) => Object.hasOwn(encoderFamilies, json.model_type);

function baseOf(json: Golden["config"]): Promise<Adaptable> {
  if (json.model_type === "t5") {
    const config = t5ConfigFrom(json);
    return t5From({ config, tensors: hashedTensors(t5Parameters(config)) });
  }
  if (!isEncoder(json)) {
    const config = configFromHuggingFace(json);
    return causalLmFrom({ config, tensors: hashedTensors(familyOf(config.modelType).parameters(config)) });
  }
  const { head, ...rest } = encoderConfigFromHuggingFace(json);
  const bare = !/SequenceClassification/.test(json.architectures[0]!);
  const config = { ...rest, pooler: json.model_type === "bert", ...(!bare && head && { head }) };
  return encoderFrom({ config, tensors: hashedTensors(encoderParameters(config)) });
}

function resultOf(model: Adaptable, { config, ids, output }: Golden): number[] {
  return tf.tidy(() => {
    if (isEncoder(config)) {
      const encoder = model as Encoder;
      const batch = encoderBatch([{ ids }], encoder.config.padId);
      return [...(encoder.config.head ? classify(encoder, batch) : encode(encoder, batch)).dataSync()];
    }
    if (config.model_type === "t5") {
      const t5 = model as T5;
      return [...t5Logits(t5, t5Batch([{ input: ids, outputs: [output] }], t5.config)).dataSync()];
    }
    const rows = tokenRows([{ prompt: ids.slice(0, 1), completions: [ids.slice(1)] }]);
    return [...logits(model as Parameters<typeof logits>[0], rows, Int32Array.from(ids.keys())).dataSync()];
  });
}

function expectClose(got: number[], expected: number[]): void {
  expect(got.length).toBe(expected.length);
  got.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!), `${i}`).toBeLessThan(1e-5 * Math.max(1, Math.abs(expected[i]!)));
  });
}

const tensorsOf = async (path: string) => {
  const file = await openSafetensors(join(path, "adapter_model.safetensors"));
  const found = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  for (const [name, { shape }] of file.tensors)
    found.set(name, { shape, values: await file.readFloat32(name) });
  await file.close();
  return found;
};

it("has its golden adapters", () => {
  expect(cases.length).toBe(8);
});

describe.each(cases)("PEFT's adapter %s", async (name) => {
  const golden = (await read(`${name}/case.json`)) as Golden;

  it("computes what PEFT computes: on, off, merged, merged out again, and copied", () =>
    onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
      const before = tf.memory().numTensors;
      const model = await loadAdapter(await baseOf(golden.config), join(folder, name));
      expectClose(resultOf(model, golden), golden.result);
      expectClose(
        withoutAdapter(model, () => resultOf(model, golden)),
        golden.base,
      );
      const copy = copyModel(model);
      expectClose(resultOf(copy, golden), golden.result);
      disposeModel(copy);
      mergeLora(model);
      expectClose(resultOf(model, golden), golden.result);
      unmergeLora(model);
      expectClose(
        withoutAdapter(model, () => resultOf(model, golden)),
        golden.base,
      );
      disposeModel(model);
      expect(tf.memory().numTensors).toBe(before);
    }));

  it("is written as PEFT writes it, and trains nothing else", async () => {
    await tf.setBackend("cpu");
    const model = await loadAdapter(await baseOf(golden.config), join(folder, name));
    const place = join(await temporary(), "adapter");
    await saveAdapter(model, place);
    const theirs = await tensorsOf(join(folder, name));
    expect(await tensorsOf(place)).toEqual(theirs);
    expect(new Set(trainableParameters(model).keys())).toEqual(new Set(theirs.keys()));
    const ours = JSON.parse(await readFile(join(place, "adapter_config.json"), "utf8"));
    const config = await read(`${name}/adapter_config.json`);
    // PEFT names the head of a decoder beside every classifier's, and keeps its lists in any order.
    const sorted = (names: string[] | null) => names?.filter((each) => each !== "score").sort() ?? null;
    for (const [key, value] of Object.entries(ours))
      if (Array.isArray(value) || Array.isArray(config[key]))
        expect(sorted(value as string[]), key).toEqual(sorted(config[key]));
      else expect(value, key).toEqual(config[key]);
    disposeModel(model);
  });
});

it("loads an adapter with the base that it names, and saves an encoder and a T5 with the adapter merged", async () => {
  await tf.setBackend("cpu");
  for (const name of ["bert-classifier", "t5"]) {
    const golden = (await read(`${name}/case.json`)) as Golden;
    const place = await temporary();
    const model = await baseOf(golden.config);
    const save = (made: Adaptable, to: string) =>
      name === "t5" ? saveT5(made as T5, to) : saveEncoder(made as Encoder, to);
    await save(model, join(place, "base"));
    await loadAdapter(model, join(folder, name));
    model.lora!.config.baseModel = "../base";
    await saveAdapter(model, join(place, "adapter"));
    await save(model, join(place, "merged"));
    const load = name === "t5" ? loadT5 : loadEncoder;
    expect(await modelKind(join(place, "adapter"))).toBe(name === "t5" ? "encoder-decoder" : "encoder");
    for (const path of ["adapter", "merged"]) {
      const loaded = await load(join(place, path), { trainable: false });
      expectClose(resultOf(loaded, golden), golden.result);
      expect(loaded.lora !== undefined).toBe(path === "adapter");
      disposeModel(loaded);
    }
    disposeModel(model);
  }
});

it("says when an adapter brings a head that its base lacks, or none of the right size", async () => {
  await tf.setBackend("cpu");
  const golden = (await read("bert-classifier/case.json")) as Golden;
  const bare = await baseOf({ ...golden.config, architectures: ["BertModel"] });
  await expect(loadAdapter(bare, join(folder, "bert-classifier"))).rejects.toThrow(/no linear module/);
  const other = await baseOf({ ...golden.config, id2label: { 0: "a", 1: "b" } as never });
  await expect(loadAdapter(other, join(folder, "bert-classifier"))).rejects.toThrow(
    /classifier\.(weight|bias) is \[3.*model's is \[2/,
  );
  expect(huggingFaceEncoderConfig((other as Encoder).config).id2label).toEqual({ 0: "a", 1: "b" });
});
