import type { StreamingDecoder } from "./tokenizer.ts";

/** What an incomplete character decodes to, exactly once at the end; it may yet become another. */
const replacement = "\uFFFD";

/**
 * A streaming decoder from a decoder of whole sequences.
 *
 * A few earlier tokens are decoded along, since what a token reads as (a leading space, say) depends on what precedes
 * it; the text before a possibly incomplete last character is final.
 */
export function streamingDecoder(decode: (ids: number[]) => string): StreamingDecoder {
  let ids: number[] = [];
  let newest = 0;
  let sent = 0;
  const advance = (last: boolean): string => {
    const text = decode(ids);
    const whole = last || !text.endsWith(replacement);
    const end = Math.max(sent, whole ? text.length : text.length - 1);
    const out = text.slice(sent, end);
    sent = end;
    const context = ids.slice(newest);
    const contextText = whole ? decode(context) : "";
    // Tokens that read as nothing are no context to drop the earlier ones for.
    if (contextText !== "") {
      ids = context;
      sent = contextText.length;
      newest = ids.length;
    }
    return out;
  };
  return {
    push(id) {
      ids.push(id);
      return advance(false);
    },
    flush: () => advance(true),
  };
}
