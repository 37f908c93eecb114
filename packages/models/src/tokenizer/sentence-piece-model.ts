/** What is used here of a SentencePiece model file (`spiece.model`, `tokenizer.model`). */
export interface SentencePieceModel {
  pieces: string[];
  scores: number[];
  /** By `pieceType`. */
  types: number[];
  /** 1 unigram, 2 BPE, 3 words, 4 characters. */
  modelType: number;
  normalizer: {
    name: string;
    charsMap: Uint8Array;
    addDummyPrefix: boolean;
    removeExtraWhitespaces: boolean;
  };
}

/** One field of a protocol buffer message: its number, and its value by wire type. */
type Field =
  | { number: number; varint: number }
  | { number: number; bytes: Uint8Array }
  | { number: number; fixed: DataView };

const mostPieces = 1 << 22;

/** The fields of a message, in order; each length is held against the bytes there are. */
function* fields(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 64; shift += 7) {
      if (at >= bytes.length) throw new Error("a number ends beyond the file");
      const byte = bytes[at++]!;
      // Beyond 2^53 a number is a negative one or none that is used here.
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error("a number has more than ten bytes");
  };
  const take = (length: number): Uint8Array => {
    if (!(length <= bytes.length - at)) throw new Error(`a field of ${length} bytes ends beyond the file`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const [number, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire === 0) yield { number, varint: varint() };
    else if (wire === 2) yield { number, bytes: take(varint()) };
    else if (wire === 1 || wire === 5) {
      const raw = take(wire === 1 ? 8 : 4);
      yield { number, fixed: new DataView(raw.buffer, raw.byteOffset, raw.byteLength) };
    } else throw new Error(`a field has the wire type ${wire}, which is none`);
  }
}

const text = new TextDecoder("utf-8", { fatal: true });

function piece(bytes: Uint8Array): { content: string; score: number; type: number } {
  const made = { content: "", score: 0, type: 1 };
  for (const field of fields(bytes)) {
    if (field.number === 1 && "bytes" in field) made.content = text.decode(field.bytes);
    else if (field.number === 2 && "fixed" in field && field.fixed.byteLength === 4)
      made.score = field.fixed.getFloat32(0, true);
    else if (field.number === 3 && "varint" in field) made.type = field.varint;
  }
  return made;
}

/**
 * Reads a SentencePiece model file: its pieces, and what decides how text is normalised.
 *
 * @throws Error saying what is wrong with it.
 */
export function readSentencePieceModel(bytes: Uint8Array): SentencePieceModel {
  const model: SentencePieceModel = {
    ...{ pieces: [], scores: [], types: [], modelType: 1 },
    normalizer: { name: "", charsMap: new Uint8Array(), addDummyPrefix: true, removeExtraWhitespaces: true },
  };
  const { normalizer } = model;
  for (const field of fields(bytes)) {
    if (!("bytes" in field)) continue;
    if (field.number === 1) {
      const { content, score, type } = piece(field.bytes);
      if (model.pieces.length >= mostPieces) throw new Error(`it has more than ${mostPieces} pieces`);
      if (!Number.isFinite(score)) throw new Error(`the score of piece ${model.pieces.length} is ${score}`);
      model.pieces.push(content);
      model.scores.push(score);
      model.types.push(type);
    } else if (field.number === 2) {
      for (const inner of fields(field.bytes))
        if (inner.number === 3 && "varint" in inner) model.modelType = inner.varint;
    } else if (field.number === 3) {
      for (const inner of fields(field.bytes)) {
        if (inner.number === 1 && "bytes" in inner) normalizer.name = text.decode(inner.bytes);
        else if (inner.number === 2 && "bytes" in inner) normalizer.charsMap = inner.bytes;
        else if (inner.number === 3 && "varint" in inner) normalizer.addDummyPrefix = inner.varint !== 0;
        else if (inner.number === 4 && "varint" in inner)
          normalizer.removeExtraWhitespaces = inner.varint !== 0;
      }
    }
  }
  if (model.pieces.length === 0) throw new Error("it has no pieces");
  return model;
}
