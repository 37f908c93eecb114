import { jsonPrompts } from "./json-texts.ts";

/** What a task wants of a model, as a part of `fdiv dpg`'s configuration. */
export interface Task {
  target: object;
  /** The corpus that its base model is trained on, where none is given. */
  corpus: "wordnet" | "json";
  prompts?: readonly string[];
  maxTokens: number;
  /** The feature whose mean says how well the target is met, and the mean that it shall have, where that is known. */
  alignment: { feature: string; wanted?: number }[];
  /** Whether texts exist that the target gives no probability, where reverse KL is infinite. */
  zeros: boolean;
}

const female = { feature: { words: ["she", "her"], name: "female" }, moment: 0.5 };

const wordNetTasks: Record<string, Task> = {
  // One in seventy sentences of the corpus has the word.
  lexical: {
    target: { times: [{ word: "time", name: "time" }] },
    corpus: "wordnet",
    maxTokens: 14,
    alignment: [{ feature: "time", wanted: 1 }],
    zeros: true,
  },
  distributional: {
    target: { constrain: [female] },
    corpus: "wordnet",
    maxTokens: 14,
    alignment: [{ feature: "female", wanted: 0.5 }],
    zeros: false,
  },
  several: {
    target: {
      constrain: [
        female,
        { feature: { words: ["was", "were", "had", "did"], name: "past" }, moment: 0.3 },
        {
          feature: {
            words: ["house", "city", "water", "mountain", "river", "road", "street"],
            name: "place",
          },
          moment: 0.2,
        },
      ],
    },
    corpus: "wordnet",
    maxTokens: 14,
    alignment: [
      { feature: "female", wanted: 0.5 },
      { feature: "past", wanted: 0.3 },
      { feature: "place", wanted: 0.2 },
    ],
    zeros: false,
  },
  preference: {
    target: { tilt: { reward: { sentiment: true, name: "sentiment" }, beta: 1 } },
    corpus: "wordnet",
    maxTokens: 14,
    alignment: [{ feature: "sentiment" }],
    zeros: false,
  },
  conditional: {
    target: { times: [{ json: ["object", "array"], name: "JSON" }] },
    corpus: "json",
    prompts: jsonPrompts,
    maxTokens: 28,
    alignment: [{ feature: "JSON", wanted: 1 }],
    zeros: true,
  },
};

/** The same tasks in words that stories for children have: for stories260K. */
const storyTasks: Record<string, Task> = {
  ...wordNetTasks,
  lexical: {
    ...wordNetTasks.lexical!,
    target: { times: [{ word: "ball", name: "ball" }] },
    maxTokens: 40,
    alignment: [{ feature: "ball", wanted: 1 }],
  },
  distributional: { ...wordNetTasks.distributional!, maxTokens: 40 },
  preference: { ...wordNetTasks.preference!, maxTokens: 40 },
};

export const taskNames = Object.keys(wordNetTasks);

/** A task of the paper's (arXiv 2302.08215, section 4) in the small, by its name; in the words of the base model that is given. */
export function taskOf(name: string, words: "wordnet" | "stories"): Task {
  const tasks = words === "stories" ? storyTasks : wordNetTasks;
  if (Object.hasOwn(tasks, name)) return tasks[name]!;
  throw new Error(`--task ${name}: there are ${taskNames.join(", ")}.`);
}
