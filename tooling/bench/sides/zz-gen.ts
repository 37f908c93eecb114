import "@tensorflow/tfjs";
import { createCausalLm, generate } from "@fdiv/models";
import { random } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
const b = process.argv[2] ?? "tensorflow";
const { threads } = await startBackend({ backend: b, threads: 2 });
const model = createCausalLm({ modelType: "gpt2", vocabularySize: 4096, hiddenSize: 256, layers: 4, heads: 4, intermediateSize: 1024, maxPositions: 256 }, { seed: 0 });
const draw = random(1);
const prompts = Array.from({ length: 16 }, () => Array.from({ length: 64 }, () => 3 + draw.integer(4093)));
for (const n of [64, 1, 64, 1, 64, 1, 64, 1, 64, 1]) {
  const s = performance.now();
  const marks: number[] = [];
  await generate(model, { prompts, maxTokens: n, temperature: 1, seed: 1, ignoreEos: true, onToken: (t) => { if (t.row === 15) marks.push(performance.now()); } } as never);
  const e = performance.now();
  const steps = marks.slice(1).map((m, i) => m - marks[i]!).sort((a, b) => a - b);
  console.log(n, (e - s).toFixed(1), "first", (marks[0]! - s).toFixed(1), "median step", steps[steps.length >> 1]?.toFixed(2), "min", steps[0]?.toFixed(2));
}
