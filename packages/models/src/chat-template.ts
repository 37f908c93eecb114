import { Template } from "@huggingface/jinja";
import type { ChatMessage } from "./tokenizer/tokenizer.ts";

const longestTemplate = 1 << 20;

/**
 * A chat template as a function. Templates are Jinja, interpreted in a sandbox that reaches nothing but what is passed.
 *
 * `specials` are the tokens that templates may name, such as `bos_token`.
 * @throws Error where the template is too long or no Jinja, and where it raises an exception itself.
 */
export function chatTemplate(
  source: string,
  specials: Record<string, string | undefined> = {},
): (messages: ChatMessage[], options?: { addGenerationPrompt?: boolean }) => string {
  if (source.length > longestTemplate)
    throw new Error(`the chat template has ${source.length} characters, more than ${longestTemplate}`);
  let template: Template;
  try {
    template = new Template(source);
  } catch (error) {
    throw new Error(`the chat template is not valid Jinja: ${(error as Error).message}`, { cause: error });
  }
  return (messages, { addGenerationPrompt = false } = {}) => {
    try {
      return template.render({
        ...specials,
        messages,
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (error) {
      throw new Error(
        `the chat template refuses these messages (roles ${messages.map(({ role }) => role).join(", ")}): ` +
          (error as Error).message,
        { cause: error },
      );
    }
  };
}
