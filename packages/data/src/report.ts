/** What became of the rows on their way to tokens. */
export interface DataReport {
  format: string;
  template: string;
  read: number;
  kept: number;
  /** By reason: how many, and where the first were. */
  dropped: Record<string, { count: number; first: string[] }>;
  truncated: { prompts: number; completions: number };
  /** Rows whose tokens differ from those of the whole text tokenised at once. */
  boundaryMerges: number;
  /** Rows with a special token's name written in their text. */
  spelledSpecials: number;
  /** Of prompt and longest completion together. */
  lengths: { min: number; median: number; p95: number; max: number };
  longest: { source: string; tokens: number }[];
  tokensPerCharacter: number;
  unknownShare: number;
  /** One example: what is context, and what is scored. */
  example?: { source: string; context: string; scored: string[] };
}

/** Counts as rows go by. */
export function dataReporter(format: string) {
  const report: DataReport = {
    format,
    template: "",
    read: 0,
    kept: 0,
    dropped: {},
    truncated: { prompts: 0, completions: 0 },
    boundaryMerges: 0,
    spelledSpecials: 0,
    lengths: { min: 0, median: 0, p95: 0, max: 0 },
    longest: [],
    tokensPerCharacter: 0,
    unknownShare: 0,
  };
  const rows: { source: string; tokens: number }[] = [];
  let tokens = 0;
  let characters = 0;
  let unknown = 0;
  return {
    report,
    drop(reason: string, source: string): void {
      const entry = report.dropped[reason] ?? { count: 0, first: [] };
      report.dropped[reason] = entry;
      entry.count++;
      if (entry.first.length < 3) entry.first.push(source);
    },
    keep(source: string, length: number): void {
      report.kept++;
      rows.push({ source, tokens: length });
    },
    text(text: string, ids: readonly number[], unkId: number | undefined): void {
      characters += text.length;
      tokens += ids.length;
      if (unkId !== undefined) unknown += ids.filter((id) => id === unkId).length;
    },
    finish(): DataReport {
      const sorted = [...rows].sort((a, b) => a.tokens - b.tokens);
      const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))]?.tokens ?? 0;
      report.lengths = { min: at(0), median: at(0.5), p95: at(0.95), max: at(1) };
      report.longest = sorted.slice(-3).reverse();
      report.tokensPerCharacter = tokens / Math.max(1, characters);
      report.unknownShare = unknown / Math.max(1, tokens);
      return report;
    },
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 2 : 1)} %`;
const clip = (text: string, length: number): string =>
  text.length <= length ? text : `… ${text.slice(text.length - length)}`;

/** The report as a person reads it before the first step. */
export function formatDataReport(report: DataReport): string {
  const { lengths, truncated, dropped, example } = report;
  const lines = [
    `format      ${report.format}; template ${report.template}`,
    `rows        ${report.read} read, ${report.kept} kept`,
    ...Object.entries(dropped).map(
      ([reason, { count, first }]) => `dropped     ${count}: ${reason} (${first.join("; ")})`,
    ),
    `tokens      ${lengths.min} to ${lengths.max} a row, median ${lengths.median}, 95 % below ${lengths.p95}`,
    `longest     ${report.longest.map(({ source, tokens }) => `${source} (${tokens})`).join("; ")}`,
    `truncated   ${truncated.prompts} prompts, ${truncated.completions} completions`,
    `vocabulary  ${report.tokensPerCharacter.toFixed(3)} tokens a character, ${percent(report.unknownShare)} unknown`,
    `boundaries  ${report.boundaryMerges} rows would be tokenised otherwise as one text`,
  ];
  if (report.spelledSpecials > 0)
    lines.push(
      `specials    ${report.spelledSpecials} rows were dropped since their text spells a special token`,
    );
  if (example) {
    lines.push(`example     ${example.source}: context ${JSON.stringify(clip(example.context, 120))}`);
    for (const text of example.scored) lines.push(`            scored ${JSON.stringify(text.slice(0, 160))}`);
  }
  return lines.join("\n");
}
