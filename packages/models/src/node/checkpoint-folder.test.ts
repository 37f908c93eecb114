import "@tensorflow/tfjs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeSafetensors } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createCausalLm } from "../causal-lm.ts";
import { causalLmConfig } from "../config.ts";
import { addLora } from "../lora.ts";
import { mergeLora } from "../lora-merge.ts";
import { disposeModel } from "../parameterised.ts";
import { countingCheckpoint, valuesOf } from "../testing/counting-checkpoint.testing.ts";
import { stories } from "../testing/data-folder.testing.ts";
import { byteLevelBpeFiles } from "../tokenizer/byte-level-bpe.ts";
import { huggingFaceTokenizer } from "../tokenizer/hugging-face-tokenizer.ts";
import { saveAdapter } from "./adapter-folder.ts";
import { convertCheckpoint } from "./convert.ts";
import { openHuggingFaceFolder, writeHuggingFaceFolder } from "./hugging-face-folder.ts";
import { loadCausalLm } from "./load.ts";
import { modelFiles, openCheckpoint } from "./open-checkpoint.ts";
import { saveCausalLm } from "./save.ts";

const sizes = {
  vocabularySize: 9,
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  maxPositions: 16,
  normEpsilon: 1e-5,
};
const config = causalLmConfig({ ...sizes, modelType: "llama", bosId: 1, eosIds: [2], tiedHead: true });
const tokenizer = huggingFaceTokenizer(
  byteLevelBpeFiles({
    pieces: ["<|end|>", "a", "b", "ab", "\u0120", "c", "d", "e", "f"],
    types: [3, 1, 1, 1, 1, 1, 1, 1, 1],
    merges: ["a b"],
    preTokenizer: "gpt-2",
    eosId: 0,
    addBos: false,
    addEos: false,
    chatTemplate: "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}",
  }),
);

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fdiv-models-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function read(path: string) {
  const checkpoint = await openCheckpoint(path);
  try {
    return { ...checkpoint, values: await valuesOf(checkpoint) };
  } finally {
    await checkpoint.close?.();
  }
}

describe("a Hugging Face folder", () => {
  it("keeps config, values, tokenizer, template and generation config", async () => {
    const checkpoint = { ...countingCheckpoint(config, tokenizer), generationConfig: { temperature: 0.7 } };
    await writeHuggingFaceFolder(checkpoint, at("model"));
    const back = await read(at("model"));
    expect(back.values).toEqual(await valuesOf(checkpoint));
    expect({ ...back.config, huggingFace: {} }).toEqual(config);
    expect(back.generationConfig).toEqual({ temperature: 0.7 });
    expect(back.tokenizer!.fingerprint).toBe(tokenizer.fingerprint);
    expect(back.tokenizer!.applyChatTemplate!([{ role: "user", content: "ab" }])).toBe("ab<|end|>");
    expect((await readdir(folder)).sort()).toEqual(["model"]);
  });

  it.each(["F16", "BF16"] as const)("narrows to %s", async (dtype) => {
    await writeHuggingFaceFolder(countingCheckpoint(config), at("model"), { dtype });
    const { values } = await read(at("model"));
    const table = values.get("model.embed_tokens.weight")!.values;
    table.forEach((value, i) => {
      expect(Math.abs(value - (i + 1) / 1024)).toBeLessThanOrEqual(dtype === "F16" ? 0 : 1 / 4096);
    });
    const json = JSON.parse(await readFile(at("model/config.json"), "utf8"));
    expect(json.torch_dtype).toBe(dtype === "F16" ? "float16" : "bfloat16");
  });

  it("splits weights over a size, and cleans up what an earlier save left", async () => {
    const checkpoint = countingCheckpoint(config);
    await writeHuggingFaceFolder(checkpoint, at("model"), { shardBytes: 1500 });
    await writeFile(at("model/notes.txt"), "mine");
    const names = await readdir(at("model"));
    expect(names.filter((name) => name.startsWith("model-")).length).toBeGreaterThan(2);
    expect((await read(at("model"))).values).toEqual(await valuesOf(checkpoint));
    await writeHuggingFaceFolder(checkpoint, at("model"));
    expect((await readdir(at("model"))).sort()).toEqual(["config.json", "model.safetensors", "notes.txt"]);
  });

  it("leaves nothing where writing fails", async () => {
    const broken = {
      config,
      tensors: [{ name: "x", shape: [1], read: () => Promise.reject(new Error("disk gone")) }],
    };
    await expect(writeHuggingFaceFolder(broken, at("model"))).rejects.toThrow("disk gone");
    expect(await readdir(folder)).toEqual([]);
  });

  it("stops where generation_config.json says, too", async () => {
    const checkpoint = { ...countingCheckpoint(config), generationConfig: { eos_token_id: [2, 5] } };
    await writeHuggingFaceFolder(checkpoint, at("model"));
    expect((await read(at("model"))).config.eosIds).toEqual([2, 5]);
  });

  it("says which file is missing or wrong", async () => {
    const index = "model.safetensors.index.json";
    await mkdir(at("model"));
    await expect(openHuggingFaceFolder(at("model"))).rejects.toThrow(/has no config\.json/);
    await writeFile(at("model/config.json"), "{");
    await expect(openHuggingFaceFolder(at("model"))).rejects.toThrow(/config\.json: not valid JSON/);
    await writeHuggingFaceFolder(countingCheckpoint(config), at("model"), { shardBytes: 1500 });
    const good = JSON.parse(await readFile(at("model", index), "utf8"));
    const map = (change: Record<string, unknown>) =>
      writeFile(at("model", index), JSON.stringify({ weight_map: { ...good.weight_map, ...change } }));
    await map({ x: "../../etc/model.safetensors" });
    await expect(openHuggingFaceFolder(at("model"))).rejects.toThrow(/no file of the folder/);
    await map({ x: "model-00009-of-00009.safetensors" });
    await expect(openHuggingFaceFolder(at("model"))).rejects.toThrow(/lacks model-00009-of-00009/);
    await map({ x: good.weight_map["model.norm.weight"] });
    await expect(openHuggingFaceFolder(at("model"))).rejects.toThrow(/lacks the tensor x/);
    await rm(at("model", index));
    await expect(openHuggingFaceFolder(at("model"))).rejects.toThrow(/neither model\.safetensors nor/);
    await expect(openCheckpoint(at("nothing"))).rejects.toThrow(/no such file.*hf:owner\/name/);
    await expect(openCheckpoint(at("model/config.json"))).rejects.toThrow(/not a model; expected/);
  });

  it("is read under full names where the file has short ones", async () => {
    await mkdir(at("gpt2"));
    const gpt2 = causalLmConfig({ ...sizes, kvHeads: 4, modelType: "gpt2" });
    const { tensors } = countingCheckpoint(gpt2);
    const short = await Promise.all(
      Array.from(tensors, async ({ name, shape, read: values }) => ({
        name: name.replace("transformer.", ""),
        shape,
        dtype: "F32" as const,
        data: await values(),
      })),
    );
    await writeFile(at("gpt2/model.safetensors"), await encodeSafetensors(short));
    await writeFile(
      at("gpt2/config.json"),
      JSON.stringify({
        model_type: "gpt2",
        vocab_size: 9,
        n_embd: 8,
        n_inner: 12,
        n_layer: 2,
        n_head: 4,
        n_positions: 16,
      }),
    );
    expect((await read(at("gpt2"))).values).toEqual(await valuesOf(countingCheckpoint(gpt2)));
  });
});

describe("models in memory", () => {
  it("are saved and loaded", async () => {
    const model = createCausalLm({ ...sizes, modelType: "llama" }, { seed: 1, tokenizer });
    await saveCausalLm(model, at("model"));
    const back = await loadCausalLm(at("model"), { trainable: false });
    expect([...back.parameters.keys()].sort()).toEqual([...model.parameters.keys()].sort());
    for (const [name, tensor] of model.parameters)
      expect(await back.parameters.get(name)!.data()).toEqual(await tensor.data());
    expect(back.tokenizer!.fingerprint).toBe(tokenizer.fingerprint);
    disposeModel(back);
    disposeModel(model);
  });

  it("are rounded to a precision on request", async () => {
    await writeHuggingFaceFolder(countingCheckpoint(config), at("model"));
    const model = await loadCausalLm(at("model"), { dtype: "BF16" });
    const values = await model.parameters.get("model.norm.weight")!.data();
    for (const value of values) expect(new Uint32Array(Float32Array.of(value).buffer)[0]! & 0xffff).toBe(0);
    disposeModel(model);
  });

  it("are saved with their adapter merged, or the adapter alone", async () => {
    await writeHuggingFaceFolder(countingCheckpoint(config), at("base"));
    const model = await loadCausalLm(at("base"));
    addLora(model, { rank: 2, alpha: 4, baseModel: "../base" });
    for (const variable of model.lora!.parameters.values()) variable.assign(tf.add(variable, 0.25));
    await saveAdapter(model, at("adapter"));
    await saveCausalLm(model, at("merged"));
    expect((await readdir(at("adapter"))).sort()).toEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
    ]);

    const again = await loadCausalLm(at("adapter"));
    expect([...again.lora!.parameters.keys()].sort()).toEqual([...model.lora!.parameters.keys()].sort());
    for (const [name, variable] of model.lora!.parameters)
      expect(await again.lora!.parameters.get(name)!.data()).toEqual(await variable.data());
    mergeLora(again);
    const merged = await loadCausalLm(at("merged"));
    const name = "model.layers.1.self_attn.q_proj.weight";
    expect(await merged.parameters.get(name)!.data()).toEqual(await again.parameters.get(name)!.data());
    expect(await merged.parameters.get(name)!.data()).not.toEqual(
      (await read(at("base"))).values.get(name)!.values,
    );
    for (const each of [model, again, merged]) disposeModel(each);
  });
});

describe("conversion", () => {
  it("goes round through every format", async () => {
    await writeHuggingFaceFolder(countingCheckpoint(config), at("folder"));
    const want = (await read(at("folder"))).values;
    await convertCheckpoint(at("folder"), at("model.gguf"));
    await convertCheckpoint(at("model.gguf"), at("model.bin"));
    await convertCheckpoint(at("model.bin"), at("again"));
    for (const path of ["model.gguf", "model.bin", "again"])
      expect((await read(at(path))).values).toEqual(want);
  });

  it("refuses what the target can't hold, and leaves nothing behind", async () => {
    await writeHuggingFaceFolder(countingCheckpoint(config, tokenizer), at("folder"));
    await expect(convertCheckpoint(at("folder"), at("x.bin"))).rejects.toThrow(
      /SentencePiece tokenizers only/,
    );
    await expect(convertCheckpoint(at("folder"), at("x.bin"), { dtype: "F16" })).rejects.toThrow(/F32 only/);
    await expect(convertCheckpoint(at("folder"), at("x.gguf"), { dtype: "BF16" })).rejects.toThrow(
      /not BF16/,
    );
    const { tensors } = countingCheckpoint(config);
    await writeHuggingFaceFolder({ config, tensors: [...tensors].slice(1) }, at("incomplete"));
    await expect(convertCheckpoint(at("incomplete"), at("x.gguf"))).rejects.toThrow(/missing.*embed_tokens/s);
    await rm(at("incomplete"), { recursive: true });
    await expect(convertCheckpoint(at("folder"), at("folder"))).rejects.toThrow(/the same/);
    expect(await readdir(folder)).toEqual(["folder"]);
  });

  it.skipIf(!stories.present)("keeps stories260K of the data folder equal in all formats", async () => {
    await copyFile(stories.bin, at("stories.bin"));
    await copyFile(stories.tokenizer, at("tok512.bin"));
    await convertCheckpoint(at("stories.bin"), at("folder"));
    await convertCheckpoint(at("folder"), at("stories.gguf"));
    await convertCheckpoint(stories.gguf, at("from-gguf"));
    await mkdir(at("back"));
    await convertCheckpoint(at("stories.gguf"), at("back/stories.bin"));
    const want = await read(at("stories.bin"));
    for (const path of ["folder", "stories.gguf", "from-gguf", "back/stories.bin"]) {
      const got = await read(at(path));
      expect(got.values).toEqual(want.values);
      expect(got.tokenizer!.encode("Once upon a time 😀")).toEqual(
        want.tokenizer!.encode("Once upon a time 😀"),
      );
      expect(got.tokenizer!.bosId).toBe(1);
    }
    const bytes = async (path: string) => Buffer.from(await readFile(path));
    // The rotary tables at the end are computed anew; everything before them is the same file.
    const weights = 28 + 4 * 260_032;
    const original = (await bytes(stories.bin)).subarray(0, weights);
    expect(original.equals((await bytes(at("back/stories.bin"))).subarray(0, weights))).toBe(true);
  });
});

it("loads a model from the hub by name, and without asking when offline", async () => {
  await writeHuggingFaceFolder(countingCheckpoint(config, tokenizer), at("served"));
  const names = [...(await readdir(at("served"))), "README.md"];
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const name = request.url!.split("/").at(-1)!;
    asked.push(name);
    if (request.url!.startsWith("/api/"))
      response.end(
        JSON.stringify({ sha: "a".repeat(40), siblings: names.map((rfilename) => ({ rfilename })) }),
      );
    else response.end(await readFile(at("served", name)));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const hub = { endpoint: `http://127.0.0.1:${port}`, cache: at("cache"), token: "", offline: false };
  try {
    const model = await loadCausalLm("hf:owner/name@v1", { hub });
    expect(asked).toContain("model.safetensors");
    expect(asked).not.toContain("README.md");
    const count = asked.length;
    const again = await loadCausalLm("hf:owner/name@v1", { hub: { ...hub, offline: true } });
    expect(asked.length).toBe(count);
    expect(again.tokenizer!.fingerprint).toBe(tokenizer.fingerprint);
    for (const each of [model, again]) disposeModel(each);
    await expect(loadCausalLm("hf:datasets/owner/name", { hub })).rejects.toThrow(/a data set, not a model/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

it("chooses a repository's files", () => {
  expect(
    modelFiles(["README.md", "config.json", "model.safetensors", "pytorch_model.bin", "onnx/model.onnx"]),
  ).toEqual(["config.json", "model.safetensors"]);
  const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  expect(modelFiles(["tokenizer.json", "model.safetensors.index.json", ...shards])).toEqual([
    "tokenizer.json",
    "model.safetensors.index.json",
    ...shards,
  ]);
  expect(() => modelFiles(["a.gguf", "b.gguf"])).toThrow(/add one's name.*a\.gguf, b\.gguf/);
  expect(() => modelFiles(["pytorch_model.bin"])).toThrow(/no weights in safetensors or GGUF/);
});
