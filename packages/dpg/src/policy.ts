import type { Random } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";
import { checkFullSupport, checkSameLaw, type SamplingLaw } from "./law.ts";

/** Outcomes drawn, one for each context asked. */
export interface Samples<X> {
  outcomes: readonly X[];
  /** ln probability of each under the law that it was drawn from. */
  logProbs: ArrayLike<number>;
  /** That law; absent where it is the model's own. */
  law?: SamplingLaw;
}

/** ln probabilities as numbers or as a tensor [outcomes], which whoever asked disposes of. */
export type LogProbs = ArrayLike<number> | tf.Tensor1D;

/**
 * What can be drawn from: a proposal.
 *
 * @typeParam X an outcome, plain data: a token sequence with its text, the index of a table, …
 * @typeParam C a context that outcomes depend on; undefined where there is none
 */
export interface Proposal<X, C = undefined> {
  /** Draws one outcome for each of the contexts, from random numbers of this stream alone. */
  sample(contexts: readonly C[], random: Random): Samples<X> | Promise<Samples<X>>;
}

/** What can be drawn from and scored: a base model. */
export interface Distribution<X, C = undefined> extends Proposal<X, C> {
  /** ln probability of each outcome in its context. */
  logProbs(outcomes: readonly X[], contexts: readonly C[]): LogProbs | Promise<LogProbs>;
  /** The law that `logProbs` scores; absent where it is the model's own. */
  readonly law?: SamplingLaw;
}

/** A distribution that can be trained. */
export interface Policy<X, C = undefined> extends Distribution<X, C> {
  /** ln probabilities [outcomes], differentiable with respect to the parameters. */
  logProbs(outcomes: readonly X[], contexts: readonly C[]): tf.Tensor1D;
  readonly parameters: ReadonlyMap<string, tf.Variable>;
  /** A frozen copy of the policy, with its present parameters or with those given; needed where proposals adapt. */
  snapshot?(parameters?: ReadonlyMap<string, tf.Tensor>): Snapshot<X, C>;
}

/** A frozen copy of a policy. */
export interface Snapshot<X, C = undefined> extends Distribution<X, C> {
  /** By the policy's names; what `snapshot` takes to make the same again. */
  readonly parameters: ReadonlyMap<string, tf.Tensor>;
  dispose(): void;
}

/** A distribution whose outcomes can be listed. */
export interface Enumerable<X, C = undefined> extends Distribution<X, C> {
  /** Every outcome that the context allows. */
  support(context: C): readonly X[];
}

/** There are no samples, or too few for what was asked. */
export class SampleCountError extends RangeError {
  override name = "SampleCountError";
}

/** Outcomes with float64 log-probabilities. */
export interface Drawn<X> {
  outcomes: readonly X[];
  logProbs: Float64Array;
}

const isTensor = (x: LogProbs): x is tf.Tensor1D => typeof (x as tf.Tensor1D).data === "function";

/** Reads log-probabilities, frees their tensor and makes sure that there is one number an outcome. */
async function read(who: string, logProbs: LogProbs, count: number): Promise<Float64Array> {
  const values = Float64Array.from(isTensor(logProbs) ? await logProbs.data() : Array.from(logProbs));
  if (isTensor(logProbs)) logProbs.dispose();
  if (values.length !== count)
    throw new RangeError(`${who} gave ${values.length} log-probabilities for ${count} outcomes.`);
  values.forEach((logProb, i) => {
    if (Number.isNaN(logProb) || logProb === Number.POSITIVE_INFINITY)
      throw new RangeError(`${who} gave outcome ${i} the log-probability ${logProb}.`);
  });
  return values;
}

/** Draws one outcome a context; the log-probabilities are those that came with the draws. */
export async function drawProposal<X, C>(
  who: string,
  proposal: Proposal<X, C>,
  contexts: readonly C[],
  random: Random,
): Promise<Drawn<X>> {
  if (contexts.length === 0) throw new SampleCountError(`${who} was asked for no outcome.`);
  const samples = await proposal.sample(contexts, random);
  if (samples.outcomes.length !== contexts.length)
    throw new RangeError(`${who} drew ${samples.outcomes.length} outcomes for ${contexts.length} contexts.`);
  checkFullSupport(who, samples.law);
  const logProbs = await read(who, samples.logProbs, contexts.length);
  logProbs.forEach((logProb, i) => {
    if (logProb === Number.NEGATIVE_INFINITY)
      throw new RangeError(`${who} drew outcome ${i}, which it says has no probability.`);
  });
  return { outcomes: samples.outcomes, logProbs };
}

/** Draws from a distribution by the law that it scores. */
export async function drawDistribution<X, C>(
  who: string,
  distribution: Distribution<X, C>,
  contexts: readonly C[],
  random: Random,
): Promise<Drawn<X>> {
  const checked: Proposal<X, C> = {
    async sample(asked, stream) {
      const samples = await distribution.sample(asked, stream);
      checkSameLaw(who, samples.law, distribution.law);
      return samples;
    },
  };
  return drawProposal(who, checked, contexts, random);
}

/** The float64 log-probabilities of outcomes. */
export async function scoreOutcomes<X, C>(
  who: string,
  distribution: Distribution<X, C>,
  outcomes: readonly X[],
  contexts: readonly C[],
): Promise<Float64Array> {
  return read(who, await distribution.logProbs(outcomes, contexts), outcomes.length);
}
