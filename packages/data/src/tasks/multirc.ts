import type { Row } from "../row.ts";
import { classOf, labelled, list, record, string, text } from "./fields.ts";
import type { Task, TaskItem } from "./task.ts";

const truth = ["False", "True"] as const;

function item(
  row: Row,
  group: string,
  id: string,
  [paragraph, question, answer]: [string, string, string],
  label: unknown,
): TaskItem {
  const fields = [
    ["question", question],
    ["answer", answer],
    ["paragraph", paragraph],
  ] as const;
  return { id, group, fields, ...labelled(classOf(row, label, truth)), source: row.source };
}

/** The official file: a passage a line with its questions, each with its answers. */
function nested(row: Row): TaskItem[] {
  const passage = record(row, row.fields.passage, "passage");
  const paragraph = string(row, passage.text, "passage.text");
  return list(row, passage.questions, "passage.questions").flatMap((each, q) => {
    const question = record(row, each, "question");
    const group = `${String(row.fields.idx ?? row.source)}/${String(question.idx ?? q)}`;
    return list(row, question.answers, "answers").map((one, a) => {
      const answer = record(row, one, "answer");
      const id = `${group}/${String(answer.idx ?? a)}`;
      const written = string(row, question.question, "question");
      return item(
        row,
        group,
        id,
        [paragraph, written, string(row, answer.text, "answer.text")],
        answer.label,
      );
    });
  });
}

/** What T5's prompts leave of the passages' markup. */
const withoutMarkup = (written: string): string => written.replaceAll("<br>", " ").replaceAll(/<\/?b>/g, "");

/** MultiRC: whether an answer is right; any number of a question's can be. */
export const multiRc: Task = {
  name: "multirc",
  suite: "superglue",
  kind: "classification",
  labels: truth,
  metrics: ["answer-f1", "exact-match"],
  labelNames: ["label"],
  prompted: ({ fields }) => fields.map(([name, written]) => [name, withoutMarkup(written)] as const),
  sentences: ({ fields: [question, answer, paragraph] }) => [paragraph![1], `${question![1]} ${answer![1]}`],
  items(row) {
    if (row.fields.passage !== undefined) return nested(row);
    const { idx, label } = row.fields;
    const { paragraph, question, answer } =
      idx === undefined ? { paragraph: row.source, question: 0, answer: 0 } : record(row, idx, "idx");
    const group = `${String(paragraph)}/${String(question)}`;
    const texts = [text(row, "paragraph"), text(row, "question"), text(row, "answer")] as [
      string,
      string,
      string,
    ];
    return [item(row, group, `${group}/${String(answer)}`, texts, label)];
  },
};
