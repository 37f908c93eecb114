import { SingleBar } from "cli-progress";
import type { StepRow, TrainCallbacks } from "../train.ts";

export interface ProgressOptions {
  /** What is trained, before the bar. */
  label?: string;
  /** Default: standard error. */
  stream?: NodeJS.WriteStream;
  /** Without a terminal: seconds between two lines. Default 10. */
  lineEvery?: number;
}

/** Hours, minutes and seconds as a person writes them: 1h02m, 3m05s, 42s. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (whole >= 3600) return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
  return whole >= 60 ? `${Math.floor(whole / 60)}m${two(whole % 60)}s` : `${whole}s`;
}

/** Shows training on a terminal as a bar with loss, speed and time left, and elsewhere as a line now and then. */
export function progress(options: ProgressOptions = {}): TrainCallbacks {
  const { label = "training", stream = process.stderr, lineEvery = 10 } = options;
  const bar = stream.isTTY
    ? new SingleBar({
        stream,
        format: `${label} {bar} {value}/{total}  loss {loss}  {speed}  {left} left`,
        barCompleteChar: "█",
        barIncompleteChar: "░",
        barsize: 24,
        hideCursor: true,
        clearOnComplete: false,
        gracefulExit: false,
      })
    : undefined;
  let total = 0;
  let average = 0;
  let lineAt = Date.now();
  const payload = (row: StepRow) => ({
    loss: row.loss.toFixed(4),
    speed:
      row.tokensPerSecond === undefined
        ? `${Math.round(row.examplesPerSecond ?? 0)} examples/s`
        : `${Math.round(row.tokensPerSecond)} tokens/s`,
    left: duration((total - row.step) * average),
  });
  const print = (text: string): void => {
    stream.write(`${text}\n`);
  };
  const tell = (step: number, what: string, metrics: Record<string, number>): void => {
    const text = Object.entries(metrics)
      .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
      .join("  ");
    if (!bar) print(`${label}: step ${step}  ${what}  ${text}`);
  };
  return {
    onStart({ step, steps, resumed }) {
      total = steps;
      if (resumed) print(`${label}: continuing after step ${step}`);
      bar?.start(steps, step, { loss: "–", speed: "–", left: "?" });
    },
    onStep(row) {
      average = average === 0 ? row.seconds : 0.95 * average + 0.05 * row.seconds;
      const { loss, speed, left } = payload(row);
      if (bar) bar.update(row.step, { loss, speed, left });
      else if (Date.now() - lineAt > lineEvery * 1e3 || row.step === total) {
        lineAt = Date.now();
        print(`${label}: step ${row.step}/${total}  loss ${loss}  ${speed}  ${left} left`);
      }
    },
    onEvaluation: (step, metrics) => tell(step, "evaluation", metrics),
    onObservation: (step, metrics) => tell(step, "observation", metrics),
    onEnd() {
      bar?.stop();
    },
  };
}
