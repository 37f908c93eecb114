import { DataError, type Row } from "../row.ts";
import { idOf, list, record, string, text } from "./fields.ts";
import type { Task, TaskItem } from "./task.ts";

const placeholder = "@placeholder";

/** A span of the passage, both ends inclusive, as the official file marks entities. */
function span(row: Row, passage: string, value: unknown): string {
  const { start, end } = record(row, value, "entity");
  const [from, to] = [Number(start), Number(end)];
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && to >= from && to < passage.length))
    throw new DataError(
      `${row.source}: an entity spans ${String(start)} to ${String(end)} of ${passage.length} characters.`,
    );
  return passage.slice(from, to + 1).trim();
}

function item(
  row: Row,
  id: string,
  {
    passage,
    query,
    entities,
    answers,
  }: { passage: string; query: string; entities: string[]; answers: string[] },
): TaskItem {
  const choices = [...new Set(entities)].sort();
  if (choices.length === 0) throw new DataError(`${row.source}: there is no entity to choose from.`);
  if (!query.includes(placeholder)) throw new DataError(`${row.source}: the query has no ${placeholder}.`);
  const label = choices.findIndex((choice) => answers.includes(choice));
  return {
    id,
    fields: [
      ["query", query],
      ["entities", choices.join(", ")],
      // Highlights follow the passage, each after this mark; what ends without a stop is given one, as T5's prompts do.
      ["passage", passage.replaceAll(/([.?!"'])\n@highlight\n/g, "$1 ").replaceAll("\n@highlight\n", ". ")],
    ],
    choices,
    ...(answers.length > 0 && { answers }),
    ...(label >= 0 && { label }),
    source: row.source,
  };
}

function nested(row: Row): TaskItem[] {
  const inside = record(row, row.fields.passage, "passage");
  // Not trimmed: the spans count from its first character.
  if (typeof inside.text !== "string") throw new DataError(`${row.source}: "passage.text" is no text.`);
  const passage = inside.text;
  const entities = list(row, inside.entities, "passage.entities").map((one) => span(row, passage, one));
  return list(row, row.fields.qas, "qas").map((each, q) => {
    const { query, answers = [], idx } = record(row, each, "qas");
    return item(row, `${idOf(row)}/${String(idx ?? q)}`, {
      passage,
      query: string(row, query, "query"),
      entities,
      answers: list(row, answers, "answers").map((one) =>
        string(row, record(row, one, "answer").text, "answer.text"),
      ),
    });
  });
}

/** An item for each right answer that can be chosen, as a model that writes its answer learns them all; others as they are. */
export function perAnswer(item: TaskItem): TaskItem[] {
  const { choices, answers } = item;
  if (!choices || !answers) return [item];
  const right = choices.flatMap((choice, label) => (answers.includes(choice) ? [{ ...item, label }] : []));
  return right.length > 0 ? right : [item];
}

/** ReCoRD: which entity of the passage fills the query's gap; several spellings can be right. */
export const reCord: Task = {
  name: "record",
  suite: "superglue",
  kind: "choice",
  labels: [],
  metrics: ["text-f1", "text-exact-match"],
  labelNames: ["answers"],
  prompted: ({ fields }) => fields,
  sentences: ({ fields, choices }, choice = 0) => [
    fields[2]![1],
    fields[0]![1].replaceAll(placeholder, choices![choice]!),
  ],
  items(row) {
    if (typeof row.fields.passage !== "string") return nested(row);
    const { entities, answers = [], idx } = row.fields;
    const texts = (value: unknown, name: string) =>
      list(row, value, name).map((one) => string(row, one, name));
    const id = idx !== null && typeof idx === "object" ? Object.values(idx).map(String).join("/") : idOf(row);
    return [
      item(row, id, {
        passage: text(row, "passage"),
        query: text(row, "query"),
        entities: texts(entities, "entities"),
        answers: texts(answers, "answers"),
      }),
    ];
  },
};
