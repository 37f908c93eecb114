import type { TaskItem } from "@fdiv/data";
import type { Interval } from "@fdiv/metrics";
import { type DrawnPlan, drawPlan, judgePoints } from "./judge-points.ts";
import type { Pair } from "./kd-batches.ts";
import type { KdItems } from "./kd-data.ts";
import type { KdModel } from "./kd-model.ts";
import type { KdConfig } from "./kd-schema.ts";
import { type Nearness, nearness, taskIntervals } from "./task-metrics.ts";
import { teacherPredictions } from "./teacher-predictions.ts";
import type { Teacher } from "./teacher-signal.ts";

/** The last figures of a distillation, as evaluation.json has them. */
export interface KdEvaluation {
  distillation: {
    task?: { name: string; split: string; items: number };
    /** Official metrics on the reported split, intervals over its items. */
    student?: Record<string, Interval>;
    teacher?: Record<string, Interval>;
    /** Of student to teacher on the reported split. */
    nearness?: Nearness;
    /** The official metrics on MNLI's mismatched split. */
    mismatched?: { items: number; student: Record<string, Interval>; teacher?: Record<string, Interval> };
    /** Means over the held-out points. */
    heldOut: Record<string, number>;
    plan?: DrawnPlan;
  };
  /** A few lines for people. */
  text: string;
}

const shown = (figures: Record<string, Interval>): string =>
  Object.entries(figures)
    .map(
      ([name, { value, low, high }]) => `${name} ${value.toFixed(4)} [${low.toFixed(4)}, ${high.toFixed(4)}]`,
    )
    .join(", ");

/** The student on the reported split beside its teacher, how near it came to it, and a transport plan between them. */
export async function evaluateStudent(
  config: KdConfig,
  student: KdModel,
  {
    items,
    held,
    teacherModel,
    teacher,
    teacherHash = "",
    cacheFolder,
  }: {
    items?: KdItems;
    held: readonly Pair[];
    teacherModel?: KdModel;
    teacher?: Teacher;
    /** Identifies the teacher, for the folder that keeps its predictions. */
    teacherHash?: string | undefined;
    cacheFolder?: string | undefined;
  },
): Promise<KdEvaluation> {
  const lines: string[] = [];
  const heldOut = await judgePoints(held, student, teacher, config.batchSize);
  const distillation: KdEvaluation["distillation"] = { heldOut };
  if (items) {
    const { task, reported, mismatched } = items;
    const figures = async (model: KdModel, asked: readonly TaskItem[], isTeacher = false) => {
      const predictions = isTeacher
        ? await teacherPredictions(model, asked, { folder: cacheFolder, identity: teacherHash })
        : await model.predict(asked);
      const judged = asked.map((item, i) => ({ item, prediction: predictions[i]! }));
      return { predictions, intervals: taskIntervals(task, judged, config.seed) };
    };
    const own = await figures(student, reported);
    distillation.task = { name: task.name, split: config.task!.report, items: reported.length };
    distillation.student = own.intervals;
    lines.push(`student on ${task.name} ${config.task!.report}: ${shown(own.intervals)}`);
    if (teacherModel) {
      const other = await figures(teacherModel, reported, true);
      distillation.teacher = other.intervals;
      const near = nearness(own.predictions, other.predictions);
      if (near) distillation.nearness = near;
      lines.push(`teacher: ${shown(other.intervals)}`);
      if (near) lines.push(`same answer in ${(100 * near.agreement).toFixed(1)} % of items`);
    }
    if (mismatched) {
      const { intervals } = await figures(student, mismatched);
      const other = teacherModel && (await figures(teacherModel, mismatched, true)).intervals;
      distillation.mismatched = {
        items: mismatched.length,
        student: intervals,
        ...(other && { teacher: other }),
      };
      lines.push(`mismatched: student ${shown(intervals)}${other ? `; teacher ${shown(other)}` : ""}`);
    }
  } else {
    lines.push(
      `held out: ${Object.entries(heldOut)
        .map(([name, value]) => `${name} ${value.toFixed(4)}`)
        .join(", ")}`,
    );
  }
  if (teacher) {
    const plan = await drawPlan(held, student, teacher, config);
    if (plan) distillation.plan = plan;
  }
  return { distillation, text: lines.join("\n") };
}
