import { datasetFingerprint, type TokenText } from "@fdiv/data";
import {
  type CausalLm,
  disposeModel,
  type TokenRows,
  tokenLogProbs,
  tokenRows,
  trainableParameters,
  withDropout,
} from "@fdiv/models";
import { microBatches, shuffledBatches } from "@fdiv/trainer";
import * as tf from "@tensorflow/tfjs-core";
import type { SftConfig } from "../config/schemas.ts";
import type { Session } from "../session.ts";
import { checkHeldOut, demonstrationDataset } from "./datasets.ts";
import { openModel } from "./open-model.ts";
import { planText, runTraining, saveModel } from "./training-run.ts";

const lengthOf = ({ prompt, completion }: TokenText): number => prompt.length + completion.length;

const textRows = (texts: readonly TokenText[]): TokenRows =>
  tokenRows(texts.map(({ prompt, completion }) => ({ prompt, completions: [completion] })));

/** Mean token loss of texts, without a gradient. */
function meanTokenLoss(model: CausalLm, texts: readonly TokenText[], microBatchTokens: number): number {
  let sum = 0;
  let tokens = 0;
  for (const group of microBatches(texts, lengthOf, microBatchTokens)) {
    const rows = textRows(group);
    const total = tf.tidy(() => tf.sum(tokenLogProbs(model, rows)));
    sum -= total.dataSync()[0]!;
    tokens += rows.scored.target.length;
    total.dispose();
  }
  return sum / tokens;
}

/** Supervised fine-tuning from a configuration to a run directory; the loss is the mean over scored tokens. */
export async function fineTune(
  config: SftConfig,
  session: Session,
  {
    resume = false,
    dryRun = false,
    model: given,
  }: { resume?: boolean; dryRun?: boolean; model?: CausalLm } = {},
): Promise<void> {
  const model = given ?? (await openModel(config, session));
  try {
    const dataset = await demonstrationDataset(config, model, session);
    session.say(dataset.text);
    const { train, held } = dataset;
    checkHeldOut(config, held.length);
    const batches = shuffledBatches({
      rows: train,
      batchSize: config.batchSize,
      seed: config.seed,
      lengthOf,
      microBatchLength: config.microBatchTokens,
      collate: (texts, { epoch, index, places }) => ({
        texts,
        rows: textRows(texts),
        dropout: { seed: `${config.seed}/${epoch}/${index}`, rows: places },
      }),
    });
    if (dryRun) {
      session.say(planText(config, batches.stepsPerEpoch, "texts"));
      return;
    }
    await runTraining(
      {
        config,
        parameters: trainableParameters(model),
        save: () => saveModel(model, config),
        batches,
        dataFingerprint: datasetFingerprint([...train, ...held]),
        dataReport: dataset.text,
        label: "fine-tuning",
        resume,
        task: {
          loss: ({ rows, dropout }) => ({
            loss: tf.neg(tf.sum(withDropout(model, dropout, () => tokenLogProbs(model, rows)))) as tf.Scalar,
          }),
          examples: ({ rows }) => rows.scored.target.length,
          tokens: ({ rows }) => rows.rows * rows.length,
          describe: ({ texts }) => texts.map(({ source }) => source),
          ...(held.length > 0 && {
            evaluate: async () => {
              const loss = meanTokenLoss(model, held, config.microBatchTokens);
              return { loss, perplexity: Math.exp(loss) };
            },
            best: { metric: "loss", mode: "min" as const },
          }),
        },
      },
      session,
    );
  } finally {
    if (!given) disposeModel(model);
  }
}
