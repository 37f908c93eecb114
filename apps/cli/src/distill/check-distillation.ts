import { distil } from "@fdiv/distill";
import { countParameters } from "@fdiv/tensor-core";
import { type Cast, castOf } from "./cast.ts";
import type { DistillData } from "./distill-data.ts";
import type { DistillConfig } from "./distill-schema.ts";
import { evaluationPlan } from "./evaluation-plan.ts";
import { checkExtractors } from "./feature-extractors.ts";
import { createNet, type Net, openNet } from "./nets.ts";
import { trainingOf } from "./teacher-schema.ts";
import { timeEstimate } from "./time-estimate.ts";
import { checkClassifier } from "./train-classifier.ts";
import { teacherTraining } from "./train-teacher.ts";

/** What a run would do, in a line. */
function planText(config: DistillConfig, data: DistillData, net: Net, cast: Cast): string {
  const { teacher, steps, batchSize, divergence, output } = config;
  const parameters = `${countParameters(net.all)} parameters`;
  const { steps: teacherSteps, batchSize: teacherBatch } = trainingOf(config);
  return [
    `${Number.isFinite(data.size) ? `${data.size} ` : ""}${data.kind} of [${data.shape}]${data.classes > 0 ? `, ${data.classes} classes` : ""}`,
    teacher.model === undefined
      ? `a teacher of ${parameters}, trained for ${teacherSteps} steps of ${teacherBatch}`
      : `the teacher ${teacher.model}, ${parameters}`,
    `${steps} steps of ${batchSize} under ${divergence}, from σ = ${cast.sigmaMax}, into ${output}`,
  ].join("; ");
}

/**
 * Makes everything that a run is made of but for its files, so that what can't be done is refused before anything is trained or written, down to the evaluation.
 *
 * @param judge what is measured by
 * @param options.timed tries a step or two of each kind too, to say how long it would take
 * @returns what would happen
 * @throws ConfigError, RangeError, InadmissibleWeightError saying what can't
 */
export async function checkDistillation(
  config: DistillConfig,
  data: DistillData,
  judge: DistillData,
  { timed = false } = {},
): Promise<string> {
  const net = config.teacher.model === undefined ? createNet(config, data) : await openNet(config, data);
  try {
    const training = config.teacher.model === undefined ? teacherTraining(config, net, data).run : undefined;
    const cast = castOf(config, net, data);
    try {
      const distillation = distil(cast.options);
      evaluationPlan(config, judge);
      await checkExtractors(config.evaluation.features, judge);
      await checkClassifier(config, data);
      // Latents are made before the first step, which is what a dry run is not for.
      const time = timed && !data.text && (await timeEstimate(config, training, distillation));
      distillation.dispose();
      return `${planText(config, data, net, cast)}${time ? `; ${time}` : ""}`;
    } finally {
      training?.dispose();
      cast.dispose();
    }
  } finally {
    net.dispose();
  }
}
