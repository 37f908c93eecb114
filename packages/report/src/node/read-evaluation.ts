import type {
  Bin,
  DistillationEvaluation,
  Estimated,
  Evaluation,
  GeneratorEvaluation,
  Range,
} from "../run-data.ts";

const isRecord = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === "object" && !Array.isArray(value);
/** JSON has no infinity: an interval of one value is written with null. */
const numberOf = (value: unknown): number | undefined =>
  value === null ? Number.NaN : typeof value === "number" ? value : undefined;

function numbers<K extends string>(value: unknown, keys: readonly K[]): Record<K, number> | undefined {
  if (!isRecord(value)) return undefined;
  const found = keys.map((key) => [key, numberOf(value[key])] as const);
  return found.every(([, one]) => one !== undefined)
    ? (Object.fromEntries(found) as Record<K, number>)
    : undefined;
}
const range = (value: unknown): Range | undefined => numbers(value, ["value", "low", "high"]);
const estimate = (value: unknown): Estimated | undefined => numbers(value, ["value", "standardError"]);

function numericRecord(value: unknown): Record<string, number> | undefined {
  if (!isRecord(value)) return undefined;
  const entries = Object.entries(value);
  return entries.every(([, one]) => typeof one === "number") ? (value as Record<string, number>) : undefined;
}

function calibration(value: unknown): Evaluation["calibration"] {
  if (!isRecord(value)) return undefined;
  const entries = Object.entries(value).map(([kind, one]) => {
    const ece = isRecord(one) ? numberOf(one.ece) : undefined;
    const bins = isRecord(one) && Array.isArray(one.bins) ? one.bins.slice(0, 1000) : undefined;
    const read = bins?.map((bin) => numbers(bin, ["from", "to", "count", "confidence", "accuracy"]));
    if (ece === undefined || !read?.every((bin): bin is Bin => bin !== undefined)) return undefined;
    return [kind, { ece, bins: read as Bin[] }] as const;
  });
  return entries.every((entry) => entry !== undefined)
    ? Object.fromEntries(entries as [string, { ece: number; bins: Bin[] }][])
    : undefined;
}

function acceptance(value: unknown): Evaluation["acceptance"] {
  if (!Array.isArray(value)) return undefined;
  const keys = ["beta", "acceptanceRate", "forwardKl", "totalVariation"] as const;
  const read = value.slice(0, 1000).map((point) => numbers(point, keys));
  return read.every((point) => point !== undefined) ? read : undefined;
}

function accuracy(value: unknown): Evaluation["accuracy"] {
  if (!isRecord(value)) return undefined;
  const read = (["before", "after", "change", "reward"] as const).flatMap((key) => {
    const one = range(value[key]);
    return one ? [[key, one] as const] : [];
  });
  return Object.fromEntries(read);
}

const isFigures = (value: unknown): value is Record<string, number> =>
  isRecord(value) && Object.values(value).every((figure) => typeof figure === "number" || figure === null);

/** A generator's part if it has the shape that is drawn. */
function generator(value: unknown): GeneratorEvaluation | undefined {
  const {
    rows,
    calibration = [],
    points = [],
    classifierAccuracy = 0,
    fakeSigma = 0,
  } = isRecord(value) ? value : {};
  const isRow = (row: unknown): boolean =>
    isRecord(row) &&
    typeof row.name === "string" &&
    typeof row.samples === "number" &&
    isFigures(row.figures);
  const isSource = (source: unknown): boolean =>
    isRecord(source) &&
    typeof source.name === "string" &&
    Array.isArray(source.points) &&
    source.points.every((point) => Array.isArray(point) && point.length === 2);
  const isCalibration = (one: unknown): boolean =>
    isRecord(one) && typeof one.name === "string" && Array.isArray(one.bins) && one.bins.every(isFigures);
  const fits =
    Array.isArray(rows) &&
    rows.every(isRow) &&
    Array.isArray(points) &&
    points.every(isSource) &&
    Array.isArray(calibration) &&
    calibration.every(isCalibration) &&
    typeof classifierAccuracy === "number" &&
    typeof fakeSigma === "number";
  return fits ? (value as GeneratorEvaluation) : undefined;
}

const mostPoints = 256;

function matrix(value: unknown): number[][] | undefined {
  if (!Array.isArray(value) || value.length > mostPoints) return undefined;
  const isRow = (row: unknown): boolean =>
    Array.isArray(row) && row.length <= mostPoints && row.every((one) => typeof one === "number");
  return value.every(isRow) ? (value as number[][]) : undefined;
}

/** Intervals by the name of a metric. */
function ranges(value: unknown): Record<string, Range> | undefined {
  if (!isRecord(value)) return undefined;
  const entries = Object.entries(value).map(([name, one]) => [name, range(one)] as const);
  return entries.every(([, one]) => one !== undefined)
    ? (Object.fromEntries(entries) as Record<string, Range>)
    : undefined;
}

/** A student's part, each piece that has the shape that is shown. */
function distillation(value: unknown): DistillationEvaluation | undefined {
  if (!isRecord(value)) return undefined;
  const { task, plan } = value;
  const [moved, cost] = isRecord(plan) ? [matrix(plan.plan), matrix(plan.cost)] : [];
  const lambda = isRecord(plan) ? numberOf(plan.lambda) : undefined;
  const [student, teacher] = [ranges(value.student), ranges(value.teacher)];
  const other = isRecord(value.mismatched) ? value.mismatched : {};
  const mismatched = { student: ranges(other.student), teacher: ranges(other.teacher) };
  const [nearness, heldOut] = [numericRecord(value.nearness), numericRecord(value.heldOut)];
  return {
    ...(isRecord(task) && {
      task: { name: String(task.name), split: String(task.split), items: Number(task.items) },
    }),
    ...(student && { student }),
    ...(teacher && { teacher }),
    ...(mismatched.student && {
      mismatched: {
        student: mismatched.student,
        ...(mismatched.teacher && { teacher: mismatched.teacher }),
      },
    }),
    ...(nearness && { nearness }),
    ...(heldOut && { heldOut }),
    ...(moved && cost && lambda !== undefined && { plan: { lambda, plan: moved, cost } }),
  };
}

const parts: { [K in keyof Evaluation]-?: (value: unknown) => Evaluation[K] } = {
  distillation,
  generator,
  reward: range,
  entropy: range,
  klToReference: estimate,
  klFromReference: estimate,
  distinct: numericRecord,
  selfBleu: numericRecord,
  accuracy,
  calibration,
  acceptance,
};

/** What a report shows of an evaluation.json, each part checked; one of another shape is left out and noted. */
export function readEvaluation(record: Record<string, unknown>, notes: string[]): Evaluation {
  const evaluation: Record<string, unknown> = {};
  for (const [name, read] of Object.entries(parts)) {
    if (record[name] === undefined) continue;
    const value = read(record[name]);
    if (value === undefined) notes.push(`evaluation.json: "${name}" is malformed`);
    else evaluation[name] = value;
  }
  return evaluation;
}
