import { type Json, numberField, objectField, stringField } from "../json-field.ts";
import type { EncoderHead, EncoderTask } from "./encoder-config.ts";

const problemTypes: Record<EncoderTask, string> = {
  classification: "single_label_classification",
  multiLabel: "multi_label_classification",
  regression: "regression",
};

function labelsOf(json: Json): string[] {
  const named = objectField(json, "id2label");
  const count = named ? Object.keys(named).length : numberField(json, "num_labels", 2);
  if (!Number.isInteger(count) || count < 1 || count > 65536)
    throw new Error(`config.json: it has ${count} labels, expected 1 to 65536`);
  return Array.from({ length: count }, (_, id) => {
    const label = named ? named[id] : `LABEL_${id}`;
    if (typeof label !== "string") throw new Error(`config.json: id2label lacks a name for ${id}`);
    return label;
  });
}

/** The head that a `config.json` describes: by `problem_type`, else a regression where there is one label. */
export function headFrom(json: Json): EncoderHead {
  const labels = labelsOf(json);
  const said = stringField(json, "problem_type", "");
  const tasks = Object.keys(problemTypes) as EncoderTask[];
  const task = tasks.find((name) => problemTypes[name] === said);
  if (said && !task)
    throw new Error(
      `config.json: problem_type "${said}" is not supported; supported are ${Object.values(problemTypes).join(", ")}.`,
    );
  return { task: task ?? (labels.length === 1 ? "regression" : "classification"), labels };
}

/** What a `config.json` says of a head, or takes back where there is none. */
export function headJson(head: EncoderHead | undefined): Json {
  if (!head) return {};
  return {
    problem_type: problemTypes[head.task],
    id2label: Object.fromEntries(head.labels.map((label, id) => [String(id), label])),
    label2id: Object.fromEntries(head.labels.map((label, id) => [label, id])),
  };
}
