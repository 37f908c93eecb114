import { pieceType, type SentencePieces } from "./tokenizer/sentence-piece.ts";

const space = "\u2581";

function typeOf(id: number, piece: string): number {
  if (id === 0) return pieceType.unknown;
  if (id < 3) return pieceType.control;
  return /^<0x[0-9A-F]{2}>$/.test(piece) ? pieceType.byte : pieceType.normal;
}

/**
 * Reads llama2.c's `tokenizer.bin`: the longest piece's length, then for each piece its score, length and bytes.
 *
 * `pieces` is how many there are, which only the model's header says. https://github.com/karpathy/llama2.c
 * @throws Error where the file has not that many pieces.
 */
export function parseLlama2cTokenizer(
  bytes: Uint8Array,
  pieces: number,
  name = "tokenizer.bin",
): SentencePieces {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  if (pieces * 8 + 4 > bytes.byteLength)
    throw new Error(`${name}: too short for ${pieces} pieces; does it belong to another model?`);
  const longest = view.getInt32(0, true);
  const texts: string[] = [];
  const scores = new Float32Array(pieces);
  let at = 4;
  for (let id = 0; id < pieces; id++) {
    if (at + 8 > bytes.byteLength) throw new Error(`${name}: ends before piece ${id} of ${pieces}`);
    scores[id] = view.getFloat32(at, true);
    const length = view.getInt32(at + 4, true);
    at += 8;
    if (length < 0 || length > longest || at + length > bytes.byteLength)
      throw new Error(
        `${name}: piece ${id} claims ${length} bytes, of at most ${Math.min(longest, bytes.byteLength - at)}`,
      );
    const text = utf8.decode(bytes.subarray(at, at + length));
    at += length;
    // llama2.c's exporter dresses these two for printing.
    texts.push(id === 1 ? "<s>" : id === 2 ? "</s>" : text.replaceAll(" ", space));
  }
  if (at !== bytes.byteLength)
    throw new Error(
      `${name}: holds more than the model's ${pieces} pieces; does it belong to another model?`,
    );
  return {
    pieces: texts,
    scores,
    types: texts.map((piece, id) => typeOf(id, piece)),
    unkId: 0,
    bosId: 1,
    eosId: 2,
    addBos: true,
    addEos: false,
    spacePrefix: true,
  };
}

/** Writes a SentencePiece vocabulary as llama2.c's `tokenizer.bin`. */
export function encodeLlama2cTokenizer({ pieces, scores, bosId, eosId, unkId }: SentencePieces): Uint8Array {
  if (unkId !== 0 || bosId !== 1 || eosId !== 2)
    throw new Error("llama2.c needs the ids 0, 1 and 2 to be the unknown, beginning and end tokens");
  const utf8 = new TextEncoder();
  const texts = pieces.map((piece, id) =>
    utf8.encode(id === 1 ? "\n<s>\n" : id === 2 ? "\n</s>\n" : piece.replaceAll(space, " ")),
  );
  const total = texts.reduce((sum, { length }) => sum + 8 + length, 4);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setInt32(
    0,
    texts.reduce((most, { length }) => Math.max(most, length), 0),
    true,
  );
  let at = 4;
  for (const [id, text] of texts.entries()) {
    view.setFloat32(at, scores[id]!, true);
    view.setInt32(at + 4, text.length, true);
    bytes.set(text, at + 8);
    at += 8 + text.length;
  }
  return bytes;
}
