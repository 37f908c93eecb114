/** The learning rate of a step, as a factor of the peak; steps count from 0. */
export type Schedule = (step: number) => number;

export interface ScheduleOptions {
  /** How the rate falls after the warm-up. */
  kind: "constant" | "linear" | "cosine" | "inverse-sqrt" | "wsd";
  /** All steps of the run. */
  steps: number;
  /** Below 1: a share of all steps; from 1: steps. Default 0. */
  warmup?: number;
  /** Where linear, cosine and wsd end, as a factor of the peak. Default 0. */
  floor?: number;
  /** wsd only: the share of all steps, at the end, in which the rate falls. Default .2. */
  decay?: number;
}

/**
 * A schedule: linear from 0 over the warm-up, then
 * constant; linear 1 → floor; cosine floor + (1 − floor)(1 + cos πp)/2; inverse-sqrt √(w/s), w the warm-up (at least one step);
 * or wsd (warm-up, stable, decay): constant, then linear to the floor over the last share of the steps.
 *
 * @throws RangeError on a number of steps that is not positive or a warm-up that is negative
 */
export function schedule(options: ScheduleOptions): Schedule {
  const { kind, steps, warmup = 0, floor = 0, decay = 0.2 } = options;
  if (!(steps > 0)) throw new RangeError(`schedule: steps is ${steps}, expected a positive number.`);
  if (!(warmup >= 0)) throw new RangeError(`schedule: warmup is ${warmup}, expected 0 or more.`);
  const rising = Math.min(steps, warmup < 1 ? Math.round(warmup * steps) : warmup);
  const falling = Math.max(1, steps - rising);
  const toFloor = (share: number) => floor + (1 - floor) * share;
  const after: Schedule = (step) => {
    const progress = Math.min(1, (step - rising) / falling);
    switch (kind) {
      case "constant":
        return 1;
      case "linear":
        return toFloor(1 - progress);
      case "cosine":
        return toFloor((1 + Math.cos(Math.PI * progress)) / 2);
      case "inverse-sqrt":
        return Math.sqrt(Math.max(1, rising) / Math.max(1, rising, step));
      case "wsd": {
        const tail = Math.max(1, decay * steps);
        return toFloor(Math.min(1, Math.max(0, (steps - step) / tail)));
      }
    }
  };
  return (step) => (step < rising ? (step + 1) / (rising + 1) : after(step));
}
