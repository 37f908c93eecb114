import { describe, expect, it } from "vitest";
import { task, tasks, taskText } from "../index.ts";

const written = (name: string, fields: Record<string, unknown>) =>
  task(name)
    .items({ fields, source: "row" })
    .map((item) => {
      const { prompt, completion } = taskText(task(name), item, "encoder-decoder");
      return [prompt, completion];
    });

/** A row of each task, and what T5's preprocessors make of it. */
const golden: [name: string, row: Record<string, unknown>, prompt: string, target: string][] = [
  [
    "cola",
    { sentence: "The course is jumping from high altitude.", label: 1 },
    "cola sentence: The course is jumping from high altitude.",
    "acceptable",
  ],
  [
    "sst2",
    { sentence: "it's a charming journey ", label: 1 },
    "sst2 sentence: it's a charming journey",
    "positive",
  ],
  [
    "mrpc",
    { sentence1: "He left.", sentence2: "He went.", label: 1 },
    "mrpc sentence1: He left. sentence2: He went.",
    "equivalent",
  ],
  [
    "qqp",
    { question1: "Why do I easily get bored?", question2: "Why do I get bored?", label: 1 },
    "qqp question1: Why do I easily get bored? question2: Why do I get bored?",
    "duplicate",
  ],
  [
    "stsb",
    { sentence1: "Soldiers killed.", sentence2: "A soldier killed.", label: 1.8 },
    "stsb sentence1: Soldiers killed. sentence2: A soldier killed.",
    "1.8",
  ],
  [
    "mnli",
    { premise: "yeah well", hypothesis: "He agreed.", label: 2 },
    "mnli hypothesis: He agreed. premise: yeah well",
    "contradiction",
  ],
  [
    "qnli",
    { question: "Where did Jebe die?", sentence: "He died on the road.", label: 0 },
    "qnli question: Where did Jebe die? sentence: He died on the road.",
    "entailment",
  ],
  [
    "rte",
    { sentence1: "A smaller proportion.", sentence2: "Some.", label: 1 },
    "rte sentence1: A smaller proportion. sentence2: Some.",
    "not_entailment",
  ],
  [
    "wnli",
    { sentence1: "It was tasty.", sentence2: "The worm was tasty.", label: 1 },
    "wnli sentence1: It was tasty. sentence2: The worm was tasty.",
    "entailment",
  ],
  [
    "boolq",
    { question: "is it wet", passage: "Water is wet.", label: true },
    "boolq passage: Water is wet. question: is it wet",
    "True",
  ],
  [
    "cb",
    { premise: "Valence the void-brain.", hypothesis: "He was helping.", label: "neutral" },
    "cb hypothesis: He was helping. premise: Valence the void-brain.",
    "neutral",
  ],
  [
    "copa",
    { premise: "It rained.", choice1: "I ran.", choice2: "I got wet.", question: "effect", label: 1 },
    "copa choice1: I ran. choice2: I got wet. premise: It rained. question: effect",
    "choice2",
  ],
  [
    "multirc",
    { paragraph: "<b>Sent 1: </b>He ran.<br><b>Sent 2: </b>Home.", question: "Who?", answer: "He", label: 1 },
    "multirc question: Who? answer: He paragraph: Sent 1: He ran. Sent 2: Home.",
    "True",
  ],
  [
    "record",
    {
      passage: 'She said "yes"\n@highlight\nPiers met Ann\n@highlight\nBoth won!\n@highlight\nEnd',
      query: "@placeholder met her.",
      entities: ["Piers", "Ann"],
      answers: ["Piers"],
    },
    'record query: @placeholder met her. entities: Ann, Piers passage: She said "yes" Piers met Ann. Both won! End',
    "Piers",
  ],
  [
    "superglue-rte",
    { premise: "A smaller proportion.", hypothesis: "Some.", label: "entailment" },
    "rte hypothesis: Some. premise: A smaller proportion.",
    "entailment",
  ],
  [
    "wic",
    { word: "place", sentence1: "A place.", sentence2: "Do place it.", label: false },
    "wic sentence1: A place. sentence2: Do place it. word: place",
    "False",
  ],
  [
    "wsc",
    {
      text: "This is a test sentence .",
      ...{ span1_text: "test", span1_index: 3, span2_text: "This", span2_index: 0 },
      label: 0,
    },
    "wsc text: # This # is a * test * sentence .",
    "False",
  ],
];

describe("T5's prompts and targets", () => {
  it.each(golden)("%s", (name, row, prompt, target) => {
    expect(written(name, row)).toEqual([[prompt, target]]);
  });

  it("are known for every task", () => {
    expect(golden.map(([name]) => name).sort()).toEqual(tasks.map(({ name }) => name).sort());
  });

  it("round a score to the nearest fifth in single precision, of two to the even one", () => {
    const target = (score: number) => written("stsb", { sentence1: "", sentence2: "", score })[0]![1];
    // As a Parquet copy has it.
    expect(target(Math.fround(0.1))).toBe("0.0");
    // 5 × 0.1 and 5 × 2.5 lie halfway: to 0 and 12 fifths, not to 1 and 13.
    expect([0, 0.1, 0.3, 2.5, 3.5, 3.25, 4.909, 5].map(target)).toEqual([
      "0.0",
      "0.0",
      "0.4",
      "2.4",
      "3.6",
      "3.2",
      "5.0",
      "5.0",
    ]);
  });

  it("mark WSC's spans by the place of their first word, the pronoun's moved by the noun's marks", () => {
    const prompt = (target: object, text = "Mark told Pete lies about himself, so he got mad at him .") =>
      written("wsc", { text, target })[0]![0];
    const he = { span2_text: "he", span2_index: 7 };
    expect(prompt({ span1_text: "Mark", span1_index: 0, ...he })).toBe(
      "wsc text: * Mark * told Pete lies about himself, so # he # got mad at him .",
    );
    expect(prompt({ span1_text: "him", span1_index: 11, ...he })).toBe(
      "wsc text: Mark told Pete lies about himself, so # he # got mad at * him * .",
    );
    // Of another case and with a stop, as some rows have it; and at a word where it is not.
    expect(prompt({ span1_text: "mark", span1_index: 0, span2_text: "Himself.", span2_index: 5 })).toBe(
      "wsc text: * Mark * told Pete lies about # himself #, so he got mad at him .",
    );
    expect(prompt({ span1_text: "Pete", span1_index: 3, ...he })).toBe(
      "wsc text: Mark told Pete lies about himself, so he got mad at him .",
    );
    expect(() => prompt({ span1_text: "Pete", span1_index: "x", ...he })).toThrow(
      /"span1_index" is x, expected the place of a word/,
    );
  });
});
