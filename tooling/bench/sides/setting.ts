import { cpus, tmpdir } from "node:os";
import { join } from "node:path";

/** The setting that every side shares; the Python sides have the same in `peers/setting.py`. */
export const setting = {
  vocabulary: 4096,
  hidden: 256,
  layers: 4,
  heads: 4,
  feedForward: 1024,
  pairs: 8,
  prompt: 64,
  completion: 64,
};

/** The model of that size. */
export const gpt2 = {
  modelType: "gpt2",
  vocabularySize: setting.vocabulary,
  hiddenSize: setting.hidden,
  layers: setting.layers,
  heads: setting.heads,
  intermediateSize: setting.feedForward,
  maxPositions: 256,
} as const;

/** SmolLM2-135M's architecture. */
export const smolLm2 = {
  modelType: "llama",
  vocabularySize: 49152,
  hiddenSize: 576,
  intermediateSize: 1536,
  layers: 30,
  heads: 9,
  kvHeads: 3,
  maxPositions: 2048,
  ropeTheta: 100_000,
  tiedHead: true,
} as const;

/** Where the models that loading is measured with lie; the Python sides look there too. */
export const madeModels = join(tmpdir(), "fdiv-bench-models");

/** Seconds since the harness started this process. */
export const sinceStart = (): number => (Date.now() - Number(process.env.FDIV_BENCH_STARTED)) / 1e3;

/** Prints what a side has to tell, as one line that the harness finds. */
export function tell(seconds: number[], more: object = {}): void {
  const peakMegabytes = process.resourceUsage().maxRSS / 1024;
  console.log(`RESULT ${JSON.stringify({ seconds, peakMegabytes, cores: cpus().length, ...more })}`);
}

/** Seconds of each of `repeat` calls after `warmup` that are not counted. */
export async function timeEach(work: () => unknown, warmup: number, repeat: number): Promise<number[]> {
  for (let i = 0; i < warmup; i++) await work();
  const seconds: number[] = [];
  for (let i = 0; i < repeat; i++) {
    const start = performance.now();
    await work();
    seconds.push((performance.now() - start) / 1e3);
  }
  return seconds;
}

/** `--name value` among the arguments, as a number. */
export function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}

/** `--name value` among the arguments. */
export function text(name: string, otherwise: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1]!;
}
