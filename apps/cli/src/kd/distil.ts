import { join } from "node:path";
import { datasetFingerprint } from "@fdiv/data";
import { cacheFolder } from "@fdiv/models/node";
import { openTeacherCache, type TeacherCache } from "@fdiv/sinkhorn-kd/node";
import { writeDurably } from "@fdiv/trainer/node";
import { ConfigError } from "../config/config-file.ts";
import { kindToLoad } from "../runs/open-model.ts";
import { planText, runTraining } from "../runs/training-run.ts";
import type { Session } from "../session.ts";
import { evaluateStudent } from "./evaluate-student.ts";
import { fineTunedTeacher } from "./fine-tuned-teacher.ts";
import { effective } from "./ignored-keys.ts";
import { judgePoints } from "./judge-points.ts";
import { type KdBatch, kdBatches, type Pair } from "./kd-batches.ts";
import { kdItems, kdTexts } from "./kd-data.ts";
import { kdLoss, kdTerms } from "./kd-loss.ts";
import type { KdModel, Layout } from "./kd-model.ts";
import type { KdConfig } from "./kd-schema.ts";
import { type KdUse, type Opened, openKdModel } from "./open-kd-model.ts";
import { checkKind, checkPair, pairsOf, sharesTokens } from "./pairs.ts";
import { rowErrorAlarm } from "./row-error-alarm.ts";
import { taskMetrics } from "./task-metrics.ts";
import { signalTensors, teacherOf } from "./teacher-signal.ts";

/** Distillation from a configuration to a run directory; the whole flow on one page. */
export async function distil(
  config: KdConfig,
  session: Session,
  { resume = false, dryRun = false }: { resume?: boolean; dryRun?: boolean } = {},
): Promise<void> {
  // What is refused should be so before a model is loaded.
  const terms = kdTerms(config);
  checkStorage(config);
  await checkKindAhead(config, session);
  const items = config.task && (await kdItems(config.task, session));
  const wantsAnswers = config.vocabulary === "answers" || config.sinkhorn.formulation === "answer";
  if (items?.task.kind === "regression" && wantsAnswers)
    throw new ConfigError(
      `${config.vocabulary === "answers" ? "vocabulary" : "sinkhorn.formulation"}: ${items.task.name} has no candidate answers; leave it out.`,
    );
  const { storage, gradientCheckpointing } = config;
  const use: KdUse = {
    ...(items && { task: items.task }),
    maxLength: config.task?.maxLength ?? config.data!.maxLength,
    ...{ storage, gradientCheckpointing },
  };
  if (items) session.say(items.text);
  const path = config.teacher && (await fineTunedTeacher(config, session, { dryRun, distil }));
  const opened = path
    ? await openKdModel({ model: path, tokenizer: config.teacher!.tokenizer }, use, {
        trainable: false,
        seed: config.seed,
        session,
      })
    : undefined;
  let student: KdModel | undefined;
  let cache: TeacherCache | undefined;
  try {
    student = await openStudent(config, opened, use, session);
    const model = student;
    session.say(`${opened ? `teacher ${opened.model.description}\n` : ""}student ${model.description}`);
    checkPair(model, opened?.model, terms, config);
    const texts = items ? undefined : await kdTexts(config, model, model.maxPositions, session);
    if (texts) session.say(texts.text);
    const pairs = (part: "train" | "held"): Pair[] =>
      pairsOf(items ? { items: items[part] } : { texts: texts![part] }, model, opened?.model);
    const [train, held] = [pairs("train"), pairs("held")];
    const teacherHash = opened && (await opened.model.fingerprint());
    cache = opened && (await openCache(config, teacherHash!, session));
    const topK = config.teacher?.cache?.topK;
    const teacher =
      opened &&
      teacherOf(opened.model, {
        temperature: config.temperature,
        ...(cache && { cache }),
        ...(topK !== undefined && { topK }),
      });
    const batches = kdBatches(train, model, teacher, config);
    if (dryRun) {
      session.say(planText(config, batches.stepsPerEpoch, "examples"));
      return;
    }
    const answerVocabulary = wantsAnswers && items ? model.answerVocabulary?.(items.train) : undefined;
    const answers = config.vocabulary === "answers" ? answerVocabulary : undefined;
    const start = await model.fingerprint();
    const counted = ({ labels, examples }: Layout) => (config.level === "token" ? labels.length : examples);
    await runTraining<KdBatch>(
      {
        config: effective(config),
        parameters: model.parameters,
        save: () => model.save((name) => join(config.output, name), config.dtype),
        batches,
        dataFingerprint: `${datasetFingerprint([...train, ...held].map(({ mine }) => ({ key: mine.key })))}-${teacherHash}-${start}`,
        dataReport: items?.text ?? texts!.text,
        label: `distilling by ${terms.map(({ name }) => name).join(" + ")}`,
        resume,
        task: {
          loss({ layout, signal, labelled, dropout }) {
            const signals = {
              student: model.withDropout(dropout!, () => model.logits(layout)),
              ...(signal && signalTensors(signal)),
              labels: layout.labels,
              sequence: layout.sequence,
              teacherSequence: signal?.sequence ?? layout.sequence,
              examples: layout.examples,
              labelled,
              isRegression: model.isRegression,
              ...(answerVocabulary && { answerVocabulary }),
            };
            return kdLoss(terms, signals, { answers, counted: counted(layout) });
          },
          examples: ({ layout }) => counted(layout),
          tokens: ({ layout }) => layout.tokens,
          callbacks: { onStep: rowErrorAlarm(session.warn) },
          describe: ({ examples }) => examples.map(({ source }) => source),
          evaluate: async () => {
            const points = await judgePoints(held, model, teacher, config.batchSize);
            if (!items) return points;
            const predictions = await model.predict(items.held);
            const judged = items.held.map((item, i) => ({ item, prediction: predictions[i]! }));
            return { ...points, ...taskMetrics(items.task, judged) };
          },
          best: items
            ? { metric: items.task.metrics[0]!, mode: "max" }
            : {
                metric:
                  opened && sharesTokens(model, opened.model) && topK === undefined ? "forward-kl" : "loss",
                mode: "min",
              },
        },
      },
      session,
    );
    const evaluation = await evaluateStudent(config, model, {
      held,
      ...(items && { items }),
      ...(opened && teacher && { teacherModel: opened.model, teacher, teacherHash }),
      ...(config.teacher?.cache && { cacheFolder: cacheFolderOf(config) }),
    });
    await writeDurably(join(config.output, "evaluation.json"), `${JSON.stringify(evaluation, null, 2)}\n`);
    session.say(evaluation.text);
  } finally {
    await cache?.close();
    student?.dispose();
    opened?.model.dispose();
  }
}

async function openStudent(
  config: KdConfig,
  opened: Opened | undefined,
  use: KdUse,
  session: Session,
): Promise<KdModel> {
  const { student, seed } = config;
  const { lora } = student;
  if (student.model === undefined) {
    if (!opened)
      throw new ConfigError("student: layers and config are of a teacher; without one give student.model.");
    return opened.student(student, { seed, baseModel: join(config.output, "base") }, lora);
  }
  const { model, tokenizer } = student;
  const as = { trainable: true, seed, session };
  return (await openKdModel({ model, tokenizer }, { ...use, lora }, as)).model;
}

/** Refuses what a student of its kind can't do, where that can be told without a download. */
async function checkKindAhead(config: KdConfig, session: Session): Promise<void> {
  const path = config.student.model ?? config.teacher?.model;
  if (path === undefined || path.startsWith("hf:")) return;
  const kind = await kindToLoad(path, session);
  checkKind(kind === "decoder" ? "decoder-only" : kind, config);
}

/** @throws ConfigError where nothing is frozen that could be stored so */
function checkStorage({ storage, teacher, student }: KdConfig): void {
  if (storage === "bfloat16" && !teacher && !student.lora)
    throw new ConfigError(
      "storage: bfloat16 is for frozen weights, and without a teacher or an adapter every weight is trained; add student.lora, or leave storage out.",
    );
}

const cacheFolderOf = ({ teacher }: KdConfig): string =>
  teacher?.cache?.folder ?? join(cacheFolder(), "teacher-outputs");

function openCache(
  config: KdConfig,
  fingerprint: string,
  session: Session,
): Promise<TeacherCache> | undefined {
  const { teacher, temperature, data, task } = config;
  if (!teacher?.cache) return undefined;
  const { topK } = teacher.cache;
  return openTeacherCache(
    cacheFolderOf(config),
    {
      model: fingerprint,
      backend: session.backend.backend,
      task: task?.name ?? "",
      template: data?.template ?? "",
      ...(topK !== undefined && { topK, temperature }),
    },
    session.warn,
  );
}
