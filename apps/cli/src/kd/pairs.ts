import type { TaskItem, TokenText } from "@fdiv/data";
import { ConfigError } from "../config/config-file.ts";
import type { Pair } from "./kd-batches.ts";
import type { KdModel } from "./kd-model.ts";
import type { KdConfig } from "./kd-schema.ts";
import type { LossTerm } from "./loss-terms.ts";

/** Whether both read the same token ids, so that an example laid out for one is one for the other. */
export const sharesTokens = (student: KdModel, teacher: KdModel): boolean =>
  student.kind === teacher.kind &&
  student.tokenizer.fingerprint === teacher.tokenizer.fingerprint &&
  student.maxPositions <= teacher.maxPositions;

/** Whether their points have the same meaning: the same classes, or tokens of one vocabulary. */
const sharesPoints = (student: KdModel, teacher: KdModel): boolean =>
  sharesTokens(student, teacher) || (student.kind === "encoder" && teacher.kind === "encoder");

/** @throws ConfigError on what a student of a kind can't do; which kind it is can be told before it is loaded */
export function checkKind(
  kind: KdModel["kind"],
  { onPolicy, data, sinkhorn, dropout = 0, vocabulary }: KdConfig,
): void {
  if (dropout > 0 && kind === "decoder-only")
    throw new ConfigError(
      "dropout: decoder-only models are trained without; leave it out, or give student.lora a dropout.",
    );
  if (data && kind !== "decoder-only")
    throw new ConfigError(`data: the student is an ${kind}, which predicts no texts; give a task.`);
  if (vocabulary === "answers" && data)
    throw new ConfigError("vocabulary: texts have no answers to choose from; leave it out, or give a task.");
  if (kind !== "encoder") return;
  if (onPolicy > 0) throw new ConfigError("onPolicy: a student of kind encoder writes no answers.");
  if (sinkhorn.formulation === "answer")
    throw new ConfigError(
      "sinkhorn.formulation: an encoder has classes in place of answer tokens; take batch.",
    );
  if (sinkhorn.formulation === "sequence")
    throw new ConfigError(
      "sinkhorn.formulation: an encoder has one point a sequence, whose transport to itself leaves nothing to choose; take batch.",
    );
  if (vocabulary === "answers")
    throw new ConfigError("vocabulary: an encoder has classes in place of answer tokens; leave it out.");
}

/** @throws ConfigError when a student can't learn from a teacher by such a loss */
export function checkPair(
  student: KdModel,
  teacher: KdModel | undefined,
  terms: readonly LossTerm[],
  config: KdConfig,
): void {
  const { onPolicy, data, teacher: described, vocabulary } = config;
  checkKind(student.kind, config);
  const odd = student.isRegression && terms.find(({ name }) => name !== "ce" && name !== "mse");
  if (odd)
    throw new ConfigError(
      `loss: ${odd.name} compares distributions, and this task is a regression; take ce (the squared error of scores) and mse.`,
    );
  if (!teacher) return;
  if (student.kind !== teacher.kind)
    throw new ConfigError(
      `a student of kind ${student.kind} can't learn from a teacher of kind ${teacher.kind}.`,
    );
  if (described?.cache?.topK !== undefined) {
    const dense = terms.find(({ name }) => name === "mse");
    if (dense) throw new ConfigError("teacher.cache.topK: mse needs all logits.");
    if (vocabulary === "answers")
      throw new ConfigError(
        "teacher.cache.topK: the likeliest tokens need not be those of answers; keep all logits, or leave vocabulary out.",
      );
  }
  if (sharesPoints(student, teacher)) return;
  const unfit = terms.find(({ needsTeacher, isCrossVocabulary }) => needsTeacher && !isCrossVocabulary);
  if (unfit)
    throw new ConfigError(
      `loss: ${unfit.name} compares token by token, and teacher and student have other tokenizers; take uld or multi-level.`,
    );
  if (onPolicy > 0)
    throw new ConfigError(
      "onPolicy: teacher and student have other tokenizers, so the teacher can't read the student's tokens.",
    );
  if (vocabulary === "answers")
    throw new ConfigError(
      "vocabulary: teacher and student have other tokenizers, and answers other tokens; leave it out.",
    );
  if (data) throw new ConfigError("data: texts need one tokenizer for teacher and student; give a task.");
}

/** Examples as both sides tokenise them. */
export function pairsOf(
  { items, texts }: { items?: readonly TaskItem[]; texts?: readonly TokenText[] },
  student: KdModel,
  teacher: KdModel | undefined,
): Pair[] {
  const examplesOf = (model: KdModel) => (items ? model.examples(items) : model.textExamples!(texts!));
  const mine = examplesOf(student);
  const theirs = teacher && !sharesTokens(student, teacher) ? examplesOf(teacher) : mine;
  return mine.map((one, i) => ({ mine: one, theirs: theirs[i]! }));
}
