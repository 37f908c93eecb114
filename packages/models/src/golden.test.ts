import "@tensorflow/tfjs";
import { readdirSync, readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { type CausalLm, causalLmFrom } from "./causal-lm.ts";
import { configFromHuggingFace, families, huggingFaceConfig } from "./families.ts";
import type { Json } from "./json-field.ts";
import { disposeModel } from "./parameterised.ts";
import { logits, tokenLogProbs } from "./scoring.ts";
import { hashedTensors } from "./testing/hashed-values.testing.ts";
import { tokenRows } from "./token-rows.ts";

interface Golden {
  config: Json;
  ids: number[][];
  logProbs: number[][];
  lastLogits: number[][];
}

function modelOf(json: Json): Promise<CausalLm> {
  const config = configFromHuggingFace(json);
  const tensors = hashedTensors(families[config.modelType]!.parameters(config));
  return causalLmFrom({ config, tensors }, { trainable: false });
}

const folder = new URL("./golden/", import.meta.url);
const cases = readdirSync(folder).filter((name) => /^model-.*\.json$/.test(name));

beforeAll(async () => {
  await tf.setBackend("cpu");
});

it("has its golden files", () => {
  expect(cases.length).toBe(12);
});

describe.each(cases)("%s", (file) => {
  const golden = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Golden;

  it("computes what transformers computes, also from the config that it writes", async () => {
    const once = configFromHuggingFace(golden.config);
    for (const json of [
      golden.config,
      huggingFaceConfig(once),
      huggingFaceConfig({ ...once, huggingFace: {} }),
    ]) {
      const model = await modelOf(json);
      golden.ids.forEach((ids, i) => {
        const rows = tokenRows([{ prompt: ids.slice(0, 1), completions: [ids.slice(1)] }]);
        const scores = tokenLogProbs(model, rows).dataSync();
        golden.logProbs[i]!.forEach((expected, t) => {
          expect(Math.abs(scores[t]! - expected), `row ${i}, token ${t}`).toBeLessThan(3e-5);
        });
        const last = logits(model, rows, Int32Array.of(ids.length - 1)).dataSync();
        golden.lastLogits[i]!.forEach((expected, id) => {
          expect(Math.abs(last[id]! - expected), `row ${i}, logit ${id}`).toBeLessThan(3e-5);
        });
      });
      disposeModel(model);
    }
  });
});
