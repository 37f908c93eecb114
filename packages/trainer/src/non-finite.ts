/** What training on a batch that gives no finite loss or gradient ends with; nothing was changed by that batch. */
export class NonFiniteError extends Error {
  override name = "NonFiniteError";
  readonly step: number;
  readonly epoch: number;
  readonly batchIndex: number;
  /** What the task says of the micro-batches, for the run directory. */
  readonly batch: unknown;

  constructor(what: string, place: { step: number; epoch: number; batchIndex: number; batch: unknown }) {
    super(
      `${what} at step ${place.step + 1} (epoch ${place.epoch}, batch ${place.batchIndex}). The parameters are still those ` +
        "of the step before. Look at that batch, or try a smaller learning rate or a smaller beta.",
    );
    this.step = place.step;
    this.epoch = place.epoch;
    this.batchIndex = place.batchIndex;
    this.batch = place.batch;
  }
}
