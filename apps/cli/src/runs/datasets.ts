import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type DataReport,
  demonstrationsOf,
  formatDataReport,
  preferencesOf,
  type Row,
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
import type { DpoConfig } from "../config/schemas.ts";
import type { Session } from "../session.ts";
import { hubProgress } from "./open-model.ts";

type DataConfig = DpoConfig["data"];

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
      const train = usable.filter((path) => /train/i.test(path));
      return train.length > 0 ? train : usable;
    },
    ...hubProgress(session),
  });
  return files.map((file) => join(folder, file));
}

async function rowsOf(files: string | string[], config: DataConfig, session: Session): Promise<Row[]> {
  let skipped = 0;
  const rows = await readRows(files, {
    onError: config.onError,
    onSkip: (error) => {
      if (skipped++ < 3) session.warn(`skipped ${error.message}`);
    },
    resolve: (spec) => resolveHub(spec, session),
    ...(config.limit !== undefined && { limit: config.limit }),
  });
  if (skipped > 3) session.warn(`skipped ${skipped} malformed rows in all`);
  return rows;
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

function tokeniseOptions(config: DataConfig, model: TextReader) {
  const { template, maxLength, maxPromptLength } = config;
  return {
    template,
    maxLength: Math.min(maxLength, model.config.maxPositions),
    ...(maxPromptLength !== undefined && { maxPromptLength }),
  };
}

/** Reads, splits and tokenises preference pairs. */
export async function preferenceDataset(
  { model: path, data, seed }: { model: string; data: DataConfig; seed: number },
  model: CausalLm,
  session: Session,
): Promise<Dataset<TokenPair>> {
  if (data.format === "text")
    throw new ConfigError('data.format: "text" holds no pairs; use it with fdiv sft.');
  const tokenizer = tokenizerOf(model, path);
  const formats = { format: data.format, ...(data.columns && { columns: data.columns }) };
  const read = async (files: string | string[]) => preferencesOf(await rowsOf(files, data, session), formats);
  const { preferences, format } = await read(data.train);
  const parts =
    typeof data.eval === "string"
      ? { train: preferences, held: (await read(data.eval)).preferences }
      : splitByPrompt(preferences, data.eval, seed);
  const options = tokeniseOptions(data, model);
  const train = tokenisePreferences(parts.train, tokenizer, { ...options, format });
  const held =
    parts.held.length > 0 ? tokenisePreferences(parts.held, tokenizer, { ...options, format }).pairs : [];
  return { train: train.pairs, held, report: train.report, text: describe(train.report, held.length) };
}

/** Reads, splits and tokenises demonstrations. */
export async function demonstrationDataset(
  { model: path, data, seed }: { model: string; data: DataConfig; seed: number },
  model: TextReader,
  session: Session,
): Promise<Dataset<TokenText>> {
  const tokenizer = tokenizerOf(model, path);
  const formats = data.columns ? { columns: data.columns } : {};
  const read = async (files: string | string[]) =>
    demonstrationsOf(await rowsOf(files, data, session), formats);
  const demonstrations = await read(data.train);
  const parts =
    typeof data.eval === "string"
      ? { train: demonstrations, held: await read(data.eval) }
      : splitByPrompt(demonstrations, data.eval, seed);
  const options = tokeniseOptions(data, model);
  const train = tokeniseDemonstrations(parts.train, tokenizer, options);
  const held = parts.held.length > 0 ? tokeniseDemonstrations(parts.held, tokenizer, options).texts : [];
  return { train: train.texts, held, report: train.report, text: describe(train.report, held.length) };
}

const describe = (report: DataReport, held: number): string =>
  `${formatDataReport(report)}\nheld out    ${held} rows for evaluation`;

/** Lines of a prompt file, blank ones left out. */
export async function promptsOf(file: string): Promise<string[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`prompts: ${file}: ${error.code === "ENOENT" ? "no such file" : error.message}.`);
  });
  return text.split("\n").filter((line) => line.trim() !== "");
}
