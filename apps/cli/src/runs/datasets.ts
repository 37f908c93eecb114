import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type DataReport,
  demonstrationsOf,
  formatDataReport,
  preferencesOf,
  type Row,
  type RowFaults,
  splitByPrompt,
  type TokenPair,
  type TokenText,
  tokeniseDemonstrations,
  tokenisePreferences,
} from "@fdiv/data";
import { readRows } from "@fdiv/data/node";
import type { CausalLm, Tokenizer } from "@fdiv/models";
import { downloadHub, parseHubReference } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import type { DpoConfig, SftConfig } from "../config/schemas.ts";
import type { Session } from "../session.ts";
import { hubProgress } from "./open-model.ts";

type PairData = DpoConfig["data"];
type DataConfig = SftConfig["data"];
/** Rows of which none need be held out. */
type WithoutHeldOut<T> = Omit<T, "eval"> & { eval?: string | number };

export interface Dataset<T> {
  train: T[];
  held: T[];
  report: DataReport;
  text: string;
}

const dataFile = /\.(jsonl|ndjson|json|csv|tsv|txt)(\.gz)?$|\.parquet$/i;

/** The data files of an hf: data set, downloaded. */
async function resolveHub(spec: string, session: Session): Promise<string[]> {
  const { repo, revision } = parseHubReference(
    spec.startsWith("hf:datasets/") ? spec : spec.replace(/^hf:/, "hf:datasets/"),
  );
  const { folder, files } = await downloadHub({
    kind: "dataset",
    repo,
    ...(revision && { revision }),
    files: (paths) => {
      const usable = paths.filter((path) => dataFile.test(path));
      const train = usable.filter((path) => /(^|[/_.-])train/i.test(path));
      return train.length > 0 ? train : usable;
    },
    ...hubProgress(session),
  });
  return files.map((file) => join(folder, file));
}

/** Rows as read and as understood; those that can't be are counted, the first few named, where the configuration says so. */
async function readAll<T>(
  files: string | string[],
  config: Omit<DataConfig, "eval">,
  session: Session,
  understand: (rows: Row[], faults: RowFaults) => T,
): Promise<T> {
  let skipped = 0;
  const faults: RowFaults = {
    onError: config.onError,
    onSkip: (error) => {
      if (skipped++ < 3) session.warn(`skipped ${error.message}`);
    },
  };
  const rows = await readRows(files, {
    ...faults,
    resolve: (spec) => resolveHub(spec, session),
    ...(config.limit !== undefined && { limit: config.limit }),
  });
  const understood = understand(rows, faults);
  if (skipped > 3) session.warn(`skipped ${skipped} rows in all`);
  return understood;
}

/** What reading texts needs of a model. */
export interface TextReader {
  tokenizer?: CausalLm["tokenizer"];
  config: Pick<CausalLm["config"], "maxPositions">;
}

function tokenizerOf(model: TextReader, path: string): Tokenizer {
  if (!model.tokenizer) throw new ConfigError(`model: ${path} has no tokenizer, so texts can't be read.`);
  return model.tokenizer;
}

function tokeniseOptions(
  { template, maxLength, maxPromptLength }: Omit<DataConfig, "eval">,
  { config: { maxPositions } }: TextReader,
  session: Session,
) {
  if (maxLength > maxPositions)
    session.say(`data.maxLength: the model's context holds ${maxPositions} tokens, so rows are cut there`);
  return {
    template,
    maxLength: Math.min(maxLength, maxPositions),
    ...(maxPromptLength !== undefined && { maxPromptLength }),
  };
}

/** Reads, splits and tokenises preference pairs. */
export async function preferenceDataset(
  { model: path, data, seed }: { model: string; data: WithoutHeldOut<PairData>; seed: number },
  model: CausalLm,
  session: Session,
): Promise<Dataset<TokenPair>> {
  const tokenizer = tokenizerOf(model, path);
  const formats = { format: data.format, ...(data.columns && { columns: data.columns }) };
  const read = (files: string | string[]) =>
    readAll(files, data, session, (rows, faults) => preferencesOf(rows, { ...formats, ...faults }));
  const { preferences, format } = await read(data.train);
  const parts =
    typeof data.eval === "string"
      ? { train: preferences, held: (await read(data.eval)).preferences }
      : splitByPrompt(preferences, data.eval ?? 0, seed);
  const options = { ...tokeniseOptions(data, model, session), format };
  const train = tokenisePreferences(parts.train, tokenizer, options);
  const held = parts.held.length > 0 ? tokenisePreferences(parts.held, tokenizer, options) : undefined;
  return {
    train: train.pairs,
    held: held?.pairs ?? [],
    report: train.report,
    text: describe(train.report, held?.report),
  };
}

/** Reads, splits and tokenises demonstrations. */
export async function demonstrationDataset(
  { model: path, data, seed }: { model: string; data: DataConfig; seed: number },
  model: TextReader,
  session: Session,
): Promise<Dataset<TokenText>> {
  const tokenizer = tokenizerOf(model, path);
  const formats = data.columns ? { columns: data.columns } : {};
  const read = (files: string | string[]) =>
    readAll(files, data, session, (rows, faults) => demonstrationsOf(rows, { ...formats, ...faults }));
  const demonstrations = await read(data.train);
  const parts =
    typeof data.eval === "string"
      ? { train: demonstrations, held: await read(data.eval) }
      : splitByPrompt(demonstrations, data.eval, seed);
  const options = tokeniseOptions(data, model, session);
  const train = tokeniseDemonstrations(parts.train, tokenizer, options);
  const held = parts.held.length > 0 ? tokeniseDemonstrations(parts.held, tokenizer, options) : undefined;
  return {
    train: train.texts,
    held: held?.texts ?? [],
    report: train.report,
    text: describe(train.report, held?.report),
  };
}

/** Of the rows held out, what became of them; of the others, everything. */
function describe(train: DataReport, held: DataReport | undefined): string {
  if (!held) return `${formatDataReport(train)}\nheld out    no rows for evaluation`;
  const dropped = Object.entries(held.dropped).map(
    ([reason, { count, first }]) => `\n  dropped   ${count}: ${reason} (${first.join("; ")})`,
  );
  const { prompts, completions } = held.truncated;
  return (
    `${formatDataReport(train)}\nheld out    ${held.kept} rows for evaluation; truncated ${prompts} prompts, ` +
    `${completions} completions${dropped.join("")}`
  );
}

/** Refuses settings that speak of evaluations where nothing is held out to evaluate on. */
export function checkHeldOut(
  config: { patience?: number; restoreBest: boolean; evaluateEvery?: number },
  held: number,
): void {
  if (held > 0) return;
  const { patience, restoreBest, evaluateEvery } = config;
  for (const [name, asked] of Object.entries({
    patience,
    restoreBest: restoreBest || undefined,
    evaluateEvery,
  }))
    if (asked !== undefined)
      throw new ConfigError(
        `${name}: there are no held-out rows to evaluate on; set data.eval, or leave it out.`,
      );
}

/** Lines of a prompt file, blank ones left out. */
export async function promptsOf(file: string): Promise<string[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`prompts: ${file}: ${error.code === "ENOENT" ? "no such file" : error.message}.`);
  });
  const prompts = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (prompts.length === 0) throw new ConfigError(`prompts: ${file} holds no prompt.`);
  return prompts;
}
