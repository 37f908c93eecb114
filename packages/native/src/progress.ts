import { formatMilliseconds } from "./sizes.ts";

/** What an installation is doing. */
export interface InstallProgress {
  /** `verify`, `download`, `fetch`, `unpack`, `strip`, `build`, `test`, `record`; `wait` and `repair` are remarks. */
  step: string;
  /** What, in words. */
  detail: string;
  /** `begun`, `running` with bytes, `done` with a result and the time in the detail. */
  state: "begun" | "running" | "done" | "remark";
  /** Bytes so far, while running. */
  bytes?: number;
  /** Of so many, where known. */
  total?: number;
}

type Tell = (bytes: number, total?: number) => void;

/** Runs steps one by one, tells of them and takes their times. */
export function stepsOf(onProgress: ((progress: InstallProgress) => void) | undefined) {
  const milliseconds: Record<string, number> = {};
  const note = (step: string, detail: string): void => onProgress?.({ step, detail, state: "remark" });
  async function step(name: string, detail: string, run: (progress: Tell) => Promise<string>): Promise<void> {
    onProgress?.({ step: name, detail, state: "begun" });
    const started = performance.now();
    const tell: Tell = (bytes, total) =>
      onProgress?.({ step: name, detail, state: "running", bytes, ...(total && { total }) });
    const result = await run(tell);
    const taken = performance.now() - started;
    milliseconds[name] = Math.round((milliseconds[name] ?? 0) + taken);
    onProgress?.({ step: name, detail: `${result} (${formatMilliseconds(taken)})`, state: "done" });
  }
  return { step, note, milliseconds };
}
