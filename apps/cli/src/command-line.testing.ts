import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createCausalLm, disposeModel, huggingFaceTokenizer } from "@fdiv/models";
import { saveCausalLm } from "@fdiv/models/node";
import { wordTokenizerConfig, wordTokenizerJson } from "./demo/word-tokenizer.ts";

const entry = fileURLToPath(new URL("./main.ts", import.meta.url));

/** The arguments of Node that run the command line from its sources. */
export const commandLine = (args: readonly string[]): string[] => {
  const script = `import(${JSON.stringify(entry)}).then(({ main }) => main(${JSON.stringify(args)}))`;
  return ["--conditions=@fdiv/source", "--import", "tsx", "--eval", script];
};

export const commandEnvironment = { ...process.env, FDIV_THREADS: "2", NO_COLOR: "1" };

/** The command line in a process of its own. */
export function fdiv(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      commandLine(args),
      { env: commandEnvironment, timeout: 55_000 },
      (error, out, err) => resolve({ code: error ? Number(error.code ?? 1) : 0, out, err }),
    );
  });
}

const words = ["the", "cat", "dog", "is", "good", "bad", "happy", "sad", "very", "a"];

/** Writes a model of ten words that says anything. */
export async function saveTinyModel(folder: string): Promise<void> {
  const tokenizer = huggingFaceTokenizer({
    tokenizer: wordTokenizerJson(words) as never,
    config: wordTokenizerConfig,
  });
  const model = createCausalLm(
    {
      modelType: "llama",
      vocabularySize: tokenizer.vocabularySize,
      hiddenSize: 16,
      intermediateSize: 32,
      layers: 2,
      heads: 2,
      maxPositions: 32,
      tiedHead: true,
      bosId: 1,
      eosIds: [2],
    },
    { seed: 1, tokenizer },
  );
  await saveCausalLm(model, folder, { dtype: "F32" });
  disposeModel(model);
}
