import { DataError, type Message } from "./row.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { isTranscript, transcriptMessages } from "./transcript.ts";

/** How prompts and completions become text: as they are, as "Human:/Assistant:" turns, or by the tokenizer's chat template. */
export type Template = "plain" | "anthropic" | "chat";

/** A prompt and its completions as text that is tokenised; with `special` the names of special tokens in it are parsed. */
export interface Rendered {
  prompt: string;
  completions: string[];
  special: boolean;
}

/** Chat where the tokenizer has a template and the data are conversations; else the text as it is, messages as turns. */
export function chooseTemplate(
  asked: Template | "auto",
  prompt: string | readonly Message[],
  tokenizer: Tokenizer,
): Template {
  const conversation = typeof prompt !== "string" || isTranscript(prompt);
  if (asked === "auto") {
    if (!conversation) return "plain";
    return tokenizer.chatTemplate ? "chat" : "anthropic";
  }
  if (asked === "chat" && !tokenizer.chatTemplate)
    throw new DataError(
      'template: "chat" needs a tokenizer with a chat template, and this one has none; use "anthropic" or "plain".',
    );
  if (asked === "plain" && typeof prompt !== "string")
    throw new DataError(
      'template: "plain" takes texts, and the rows hold messages; use "chat" or "anthropic".',
    );
  return asked;
}

function turns(messages: readonly Message[]): string {
  return messages
    .map(({ role, content }) => {
      if (role === "system") return content;
      return `\n\n${role === "assistant" ? "Assistant" : "Human"}: ${content}`;
    })
    .join("");
}

const asMessages = (prompt: string | Message[]): Message[] => {
  if (typeof prompt !== "string") return prompt;
  return isTranscript(prompt)
    ? transcriptMessages(prompt).filter(({ content }) => content !== "")
    : [{ role: "user", content: prompt }];
};

/** Puts a prompt and completions into a template. */
export function render(
  template: Template,
  prompt: string | Message[],
  completions: readonly (string | Message[])[],
  tokenizer: Tokenizer,
  source: string,
): Rendered {
  if (template === "chat") {
    const messages = asMessages(prompt);
    const start = tokenizer.applyChatTemplate!(messages, { addGenerationPrompt: true });
    return {
      prompt: start,
      completions: completions.map((completion) => {
        const answer: Message[] =
          typeof completion === "string" ? [{ role: "assistant", content: completion.trim() }] : completion;
        const whole = tokenizer.applyChatTemplate!([...messages, ...answer], { addGenerationPrompt: false });
        if (!whole.startsWith(start))
          throw new DataError(
            `${source}: the chat template rewrites the prompt once the answer is there; use template "anthropic".`,
          );
        return whole.slice(start.length);
      }),
      special: true,
    };
  }
  if (typeof prompt === "string") return { prompt, completions: completions.map(String), special: false };
  return {
    prompt: `${turns(prompt)}\n\nAssistant:`,
    completions: completions.map((completion) =>
      typeof completion === "string" ? completion : turns(completion).replace(/^\n\nAssistant:/, ""),
    ),
    special: false,
  };
}

/** Whether a text spells a special token, which a template that is parsed would turn into one. */
export function spellsSpecial(content: string, tokenizer: Tokenizer): boolean {
  if (!/[<[]/.test(content)) return false;
  return tokenizer.encode(content, { parseSpecial: true }).join() !== tokenizer.encode(content).join();
}
