import { disposeModel, streamText } from "@fdiv/models";
import { loadCausalLm } from "@fdiv/models/node";
import { ConfigError } from "../config/config-file.ts";
import { hubProgress } from "../runs/open-model.ts";
import { type GlobalOptions, openSession } from "../session.ts";

export interface GenerateCommandOptions extends GlobalOptions {
  model: string;
  prompt?: string;
  chat?: boolean;
  system?: string;
  tokenizer?: string;
  maxTokens: number;
  temperature: number;
  topK?: number;
  topP?: number;
  stop: string[];
  seed: number;
  storage: "float32" | "bfloat16";
}

/** `fdiv generate`: the text alone to standard output, as it comes. */
export async function generateText(options: GenerateCommandOptions): Promise<void> {
  if (options.system !== undefined && !options.chat)
    throw new ConfigError("--system is part of a chat; add --chat.");
  const session = await openSession(options);
  const { tokenizer, maxTokens, temperature, seed } = options;
  try {
    const model = await loadCausalLm(options.model, {
      trainable: false,
      storage: options.storage,
      hub: hubProgress(session),
      ...(tokenizer !== undefined && { tokenizer }),
    });
    const prompt = options.chat ? chatPrompt(model.tokenizer, options) : (options.prompt ?? "");
    const pieces = streamText(model, prompt, {
      maxTokens,
      temperature,
      seed,
      signal: session.signal,
      parseSpecial: options.chat ?? false,
      ...(options.topK !== undefined && { topK: options.topK }),
      ...(options.topP !== undefined && { topP: options.topP }),
      ...(options.stop.length > 0 && { stop: options.stop }),
    });
    const started = performance.now();
    let characters = 0;
    try {
      for await (const piece of pieces) {
        characters += piece.length;
        process.stdout.write(piece);
      }
    } finally {
      // Also after Ctrl-C: what was said stands on a line of its own.
      process.stdout.write("\n");
    }
    session.say(`${characters} characters in ${((performance.now() - started) / 1e3).toFixed(2)} s`);
    disposeModel(model);
  } finally {
    session.close();
  }
}

function chatPrompt(
  tokenizer:
    | {
        applyChatTemplate?: (
          messages: { role: string; content: string }[],
          options: { addGenerationPrompt: boolean },
        ) => string;
      }
    | undefined,
  { prompt, system, model }: GenerateCommandOptions,
): string {
  if (!prompt) throw new ConfigError("--chat needs a --prompt.");
  if (!tokenizer?.applyChatTemplate)
    throw new ConfigError(`${model} has no chat template; leave --chat out.`);
  const messages = [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: prompt },
  ];
  return tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true });
}
