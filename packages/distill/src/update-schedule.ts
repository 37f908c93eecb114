/** What is updated in an iteration. */
export interface Phase {
  generator: boolean;
  /** The fake denoiser and the discriminator. */
  critic: boolean;
}

export interface UpdateScheduleOptions {
  /** The generator is updated in every n-th iteration; default 5. */
  generatorEvery?: number;
  /** Whether the fake denoiser and discriminator rest in the generator's iterations (f-distill's code) or never (DMD2); default rest. */
  criticMeanwhile?: "rest" | "train";
}

/**
 * Two time scales: the fake denoiser must follow the generator, so it is updated more often.
 *
 * @returns what to update in an iteration, counted from 0
 * @throws RangeError when generatorEvery is no positive integer, or 1 with a resting critic, which would then never train
 */
export function updateSchedule(options: UpdateScheduleOptions = {}): (iteration: number) => Phase {
  const { generatorEvery = 5, criticMeanwhile = "rest" } = options;
  if (!Number.isSafeInteger(generatorEvery) || generatorEvery < 1)
    throw new RangeError(`updateSchedule: generatorEvery is ${generatorEvery}, expected a positive integer.`);
  if (criticMeanwhile !== "rest" && criticMeanwhile !== "train")
    throw new RangeError(
      `updateSchedule: criticMeanwhile is "${criticMeanwhile}"; there are rest and train.`,
    );
  if (generatorEvery === 1 && criticMeanwhile === "rest")
    throw new RangeError(
      'updateSchedule: with generatorEvery 1 the critic would never train; set criticMeanwhile to "train".',
    );
  return (iteration) => {
    const generator = (iteration + 1) % generatorEvery === 0;
    return { generator, critic: !generator || criticMeanwhile === "train" };
  };
}
