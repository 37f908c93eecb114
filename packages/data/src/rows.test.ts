import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  DataError,
  datasetFingerprint,
  demonstrationsOf,
  parseJsonLine,
  parseJsonRows,
  parsePlainText,
  parseTableRows,
  preferencesOf,
  type Row,
  splitByPrompt,
  synthesisePreferences,
  transcriptMessages,
} from "./index.ts";

const row = (fields: Record<string, unknown>, source = "f:1"): Row => ({ fields, source });
const human = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: More?\n\nAssistant:";

describe("preference formats", () => {
  it.each<[string, Row, unknown, string]>([
    [
      "explicit text",
      row({ prompt: "p", chosen: " a", rejected: " b" }),
      { prompt: "p", chosen: " a", rejected: " b" },
      "explicit prompt, text",
    ],
    [
      "implicit text, no word cut",
      row({ chosen: "The sky is blue.", rejected: "The sky is black." }),
      { prompt: "The sky is", chosen: " blue.", rejected: " black." },
      "implicit prompt, text",
    ],
    [
      "transcripts",
      row({ chosen: `${human} Yes: a`, rejected: `${human} Yes: b` }),
      { prompt: human, chosen: " Yes: a", rejected: " Yes: b" },
      "Anthropic transcripts",
    ],
    [
      "implicit messages",
      row({
        chosen: [
          { role: "user", content: "q" },
          { role: "assistant", content: "a" },
        ],
        rejected: [
          { role: "user", content: "q" },
          { role: "assistant", content: "b" },
        ],
      }),
      {
        prompt: [{ role: "user", content: "q" }],
        chosen: [{ role: "assistant", content: "a" }],
        rejected: [{ role: "assistant", content: "b" }],
      },
      "implicit prompt, messages",
    ],
    [
      "a prompt repeated on both sides",
      row({
        prompt: "q",
        chosen: [
          { role: "user", content: "q" },
          { role: "assistant", content: "a" },
        ],
        rejected: [
          { role: "user", content: "q" },
          { role: "assistant", content: "b" },
        ],
      }),
      {
        prompt: [{ role: "user", content: "q" }],
        chosen: [{ role: "assistant", content: "a" }],
        rejected: [{ role: "assistant", content: "b" }],
      },
      "explicit prompt, messages",
    ],
  ])("%s", (_, given, expected, format) => {
    const found = preferencesOf([given]);
    expect(found.preferences).toEqual([{ ...(expected as object), source: "f:1" }]);
    expect(found.format).toBe(format);
  });

  it.each<[Row, RegExp, object?]>([
    [
      row({ prompt: "p", chosen: "a" }, "f:7"),
      /f:7: field "rejected" is missing; the row has prompt, chosen/,
    ],
    [row({ prompt: 3, chosen: "a", rejected: "b" }, "f:8"), /f:8: field "prompt" is number, expected a text/],
    [row({ chosen: "x", rejected: "y" }), /share no beginning/],
    [
      row({ chosen: "\n\nHuman: a\n\nAssistant: b", rejected: "\n\nHuman: c\n\nAssistant: d" }),
      /share no turn/,
    ],
    [
      row({ a: "x", b: "y" }),
      /names the field "c", which the row lacks; it has a, b/,
      { columns: { chosen: "c" } },
    ],
    [row({ prompt: "p", completion: "c", label: true }), /needs both/],
    [row({ chosen: "plain a", rejected: "plain b" }), /no transcript/, { format: "anthropic" }],
  ])("refuses with file, line and field: %#", (given, message, options) => {
    expect(() => preferencesOf([given], options)).toThrow(message);
    expect(() => preferencesOf([given], options)).toThrow(DataError);
  });

  it("renames columns", () => {
    const { preferences } = preferencesOf([row({ q: "p", yes: "a", no: "b" })], {
      columns: { prompt: "q", chosen: "yes", rejected: "no" },
    });
    expect(preferences[0]).toMatchObject({ prompt: "p", chosen: "a", rejected: "b" });
  });
});

it("reads transcripts as messages", () => {
  expect(transcriptMessages(human)).toEqual([
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Hello." },
    { role: "user", content: "More?" },
  ]);
});

it("reads demonstrations of every format", () => {
  const found = demonstrationsOf([
    row({ text: "t" }),
    row({ prompt: "p", completion: "c" }),
    row({
      messages: [
        { role: "user", content: "q" },
        { role: "assistant", content: "a" },
      ],
    }),
  ]);
  expect(found.map(({ prompt }) => prompt)).toEqual(["", "p", [{ role: "user", content: "q" }]]);
  expect(() => demonstrationsOf([row({ body: "x" }, "f:3")])).toThrow(
    /f:3: none of "text".*the row has body/,
  );
});

describe("parsers", () => {
  it("name file and line", () => {
    expect(() => parseJsonLine("{", "a.jsonl:9")).toThrow(/a\.jsonl:9: malformed JSON/);
    expect(() => parseJsonLine("[1]", "a.jsonl:9")).toThrow(/no JSON object/);
    expect(() => parseJsonRows("[1]", "a.json")).toThrow(/a\.json, row 1/);
    expect(() => parseTableRows('a,b\n"x', "a.csv", ",")).toThrow(/a\.csv: /);
    expect(parsePlainText("a\n\nb\nc\n\n\nd", "t.txt").map(({ source }) => source)).toEqual([
      "t.txt:1",
      "t.txt:3",
      "t.txt:7",
    ]);
  });
  it("read tables with a BOM, quotes in TSV, and messages in cells", () => {
    expect(parseTableRows('\uFEFFa\tb\nx "y\t[{"role":"user","content":"q"}]\n', "a.tsv", "\t")).toEqual([
      { fields: { a: 'x "y', b: [{ role: "user", content: "q" }] }, source: "a.tsv:2" },
    ]);
  });
  it("only ever throw DataError", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const parse of [
          () => parseJsonLine(text, "f"),
          () => parseJsonRows(text, "f"),
          () => parseTableRows(text, "f", ","),
          () => preferencesOf([row({ chosen: text, rejected: `${text}x` })]),
        ])
          try {
            parse();
          } catch (error) {
            expect(error).toBeInstanceOf(DataError);
          }
      }),
    );
    expect(() => parseJsonLine("[".repeat(1e5), "f")).toThrow(DataError);
  });
});

describe("splits, fingerprints, synthesis", () => {
  const rows = Array.from({ length: 400 }, (_, i) => ({ prompt: `p${i % 100}`, n: i }));
  it("never put a prompt on both sides, whatever the order", () => {
    const { train, held } = splitByPrompt(rows, 0.2, 3);
    const prompts = (side: typeof rows) => new Set(side.map(({ prompt }) => prompt));
    expect([...prompts(train)].filter((prompt) => prompts(held).has(prompt))).toEqual([]);
    expect(held.length).toBeGreaterThan(20);
    expect(held.length).toBeLessThan(160);
    expect(prompts(splitByPrompt([...rows].reverse(), 0.2, 3).held)).toEqual(prompts(held));
    expect(() => splitByPrompt(rows.slice(0, 1), 0.01)).toThrow(/holds out none/);
  });
  it("change with any token", () => {
    const base = [{ prompt: [1, 2], chosen: [3], rejected: [4] }];
    expect(datasetFingerprint(base)).toBe(datasetFingerprint(structuredClone(base)));
    expect(datasetFingerprint([{ prompt: [1], chosen: [2, 3], rejected: [4] }])).not.toBe(
      datasetFingerprint(base),
    );
  });
  it("prefer by Bradley–Terry", () => {
    const groups = Array.from({ length: 4000 }, (_, i) => ({
      prompt: `p${i}`,
      completions: [
        { text: "good", reward: 1 },
        { text: "bad", reward: 0 },
      ],
    }));
    const share = (temperature: number) =>
      synthesisePreferences(groups, { seed: 1, temperature }).filter(({ chosen }) => chosen === "good")
        .length / 4000;
    expect(share(1)).toBeCloseTo(1 / (1 + Math.exp(-1)), 1);
    expect(share(0)).toBe(1);
    expect(share(1e9)).toBeCloseTo(0.5, 1);
    expect(synthesisePreferences(groups, { seed: 1 })).toEqual(synthesisePreferences(groups, { seed: 1 }));
  });
});

describe("rows that can't be read", () => {
  const rows = [
    row({ prompt: "p", chosen: " a", rejected: " b" }, "f:1"),
    row({ prompt: "p", chosen: " a" }, "f:2"),
    row({ chosen: "The sky is blue.", rejected: "The sky is black." }, "f:3"),
  ];

  it("stop, or are skipped and told, also for a field that is missing", () => {
    expect(() => preferencesOf(rows)).toThrow(/f:2: field "rejected" is missing/);
    const told: string[] = [];
    const faults = { onError: "skip" as const, onSkip: (error: DataError) => told.push(error.message) };
    const { preferences, format } = preferencesOf(rows, faults);
    expect(preferences.map(({ source }) => source)).toEqual(["f:1", "f:3"]);
    expect(format).toBe("explicit prompt, text; implicit prompt, text");
    expect(told).toEqual([expect.stringMatching(/^f:2: /)]);
    expect(demonstrationsOf([row({ text: "a" }), row({ other: 1 })], faults)).toHaveLength(1);
    expect(() => preferencesOf([rows[1]!], faults)).toThrow(/none of 1 rows could be read/);
  });
});
