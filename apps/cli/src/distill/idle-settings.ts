import type { z } from "zod";
import type { dataSchema } from "./data-schema.ts";
import type { EvaluationConfig } from "./evaluation-schema.ts";
import { netKeys, netKindOf, type TeacherConfig } from "./teacher-schema.ts";

interface Given {
  data: z.infer<typeof dataSchema>;
  conditional: boolean;
  teacher: TeacherConfig;
  previewEvery?: number | undefined;
  evaluation: EvaluationConfig;
}

/** A setting that would change nothing, by its path, and why. */
export interface IdleSetting {
  path: string[];
  why: string;
}

/** What was written and would change nothing; what is absent has its default where it is used, and never is in here. */
export function idleSettings({ data, conditional, teacher, previewEvery, evaluation }: Given): IdleSetting[] {
  const found: IdleSetting[] = [];
  const isImages = data.images !== undefined;
  const note = (path: string, value: unknown, why: string): void => {
    if (value !== undefined) found.push({ path: path.split("."), why });
  };
  const { train } = teacher;
  if (train) {
    const kind = netKindOf(train.net, isImages);
    const other = kind === "unet" ? "mlp" : "unet";
    for (const key of netKeys[other])
      note(
        `teacher.train.net.${key}`,
        train.net[key],
        kind === "unet"
          ? "is of an MLP, and this net is a U-Net; set teacher.train.net.kind to mlp."
          : `is of a U-Net, and this net is an MLP${isImages ? "; set teacher.train.net.kind to unet" : ", as points take"}.`,
      );
    if (!conditional)
      note("teacher.train.dropLabels", train.dropLabels, "is of a conditional teacher; set conditional.");
  }
  if (data.mixture) note("data.limit", data.limit, "a mixture has no end; limit is for examples from files.");
  else
    for (const key of ["sigma", "divergences"] as const)
      note(
        `evaluation.${key}`,
        evaluation[key],
        "is of divergences by quadrature, which only a mixture has.",
      );
  if (!isImages) {
    note("evaluation.classifier", evaluation.classifier, "takes images with labels.");
    if (data.captions === undefined) note("previewEvery", previewEvery, "points have no pictures.");
  }
  return found;
}
