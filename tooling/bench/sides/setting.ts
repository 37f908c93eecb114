import { cpus } from "node:os";

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
