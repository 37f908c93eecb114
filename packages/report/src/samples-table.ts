import { number, table } from "./html.ts";
import type { RunData } from "./run-data.ts";
import { groupName, groupRuns } from "./run-groups.ts";

const mostColumns = 8;
const mostPrompts = 12;
const mostCharacters = 240;

type Sample = RunData["samples"][number];

const shown = (sample: Sample | undefined): string => {
  if (!sample) return "–";
  return sample.reward === undefined ? sample.completion : `${sample.completion}  (${number(sample.reward)})`;
};

/** The texts that stand for a run at its end: those of its evaluation, else the last that training drew. */
function lastSamples({ samples }: RunData): Sample[] {
  const evaluated = samples.filter(({ step }) => step === undefined);
  if (evaluated.length > 0) return evaluated;
  const last = Math.max(...samples.map(({ step }) => step!));
  return samples.filter(({ step }) => step === last);
}

/** The same prompts down, a run a column, what the model said before training first; of many runs one of each divergence and β. */
export function samples(all: readonly RunData[]): string {
  const having = all.filter((run) => run.samples.length > 0);
  if (having.length === 0) return "";
  const many = having.length > mostColumns;
  const groups = many ? groupRuns(having).slice(0, mostColumns) : [];
  const runs = many ? groups.map((group) => group.runs[0]!) : having;
  const names = many
    ? groups.map((group) => groupName({ ...group, runs: [group.runs[0]!] }))
    : runs.map(({ name }) => name);
  const columns = runs.map(lastSamples);
  const prompts = [...new Set(columns[0]!.map(({ prompt }) => prompt))].slice(0, mostPrompts);
  const before = runs.flatMap((run) => run.samples.filter(({ step }) => step === 0));
  const atStart = (prompt: string): Sample | undefined => before.find((sample) => sample.prompt === prompt);
  const hasBefore = prompts.some((prompt) => atStart(prompt) !== undefined);
  return table(
    ["prompt", ...(hasBefore ? ["before"] : []), ...names],
    prompts.map((prompt) => [
      // Its end is what is answered.
      prompt.length <= mostCharacters ? prompt : `… ${prompt.slice(-mostCharacters)}`,
      ...(hasBefore ? [shown(atStart(prompt))] : []),
      ...columns.map((column) => shown(column.find((sample) => sample.prompt === prompt))),
    ]),
    "text",
  );
}
