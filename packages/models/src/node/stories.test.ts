import "@tensorflow/tfjs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { disposeModel } from "../parameterised.ts";
import { logits } from "../scoring.ts";
import { stories } from "../testing/data-folder.testing.ts";
import { tokenRows } from "../token-rows.ts";
import { convertCheckpoint } from "./convert.ts";
import { loadCausalLm } from "./load.ts";

const text =
  "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. " +
  "She wanted to play with it, but it was too high";

describe.skipIf(!stories.present)("stories260K of the data folder writes its story", () => {
  let folder: string;
  beforeAll(async () => {
    await tf.setBackend("cpu");
    folder = await mkdtemp(join(tmpdir(), "fdiv-stories-"));
    await convertCheckpoint(stories.bin, join(folder, "converted"), { tokenizer: stories.tokenizer });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each([
    ["llama2.c", () => stories.bin],
    ["GGUF", () => stories.gguf],
    ["the converted Hugging Face folder", () => join(folder, "converted")],
  ])("from %s", async (_, path) => {
    const model = await loadCausalLm(path(), { trainable: false });
    const ids = model.tokenizer!.encode(text, { addSpecial: true });
    const rows = tokenRows([{ prompt: ids.slice(0, 1), completions: [ids.slice(1)] }]);
    // The likeliest token after each prefix is the text's own: decoding greedily writes just this.
    const likeliest = await tf.tidy(() => tf.argMax(logits(model, rows), -1)).data();
    expect(Array.from(likeliest).slice(0, ids.length - 1)).toEqual(ids.slice(1));
    expect(model.tokenizer!.decode(ids, { skipSpecial: true })).toBe(text);
    disposeModel(model);
  });
});
