export { chatTemplate } from "./chat-template.ts";
export type { Checkpoint, CheckpointTensor } from "./checkpoint.ts";
export { type ByteSource, bytesSource } from "./gguf/byte-source.ts";
export { openGguf } from "./gguf/checkpoint.ts";
export type { GgufFloat } from "./gguf/encode.ts";
export { type GgufHeader, type GgufTensor, type GgufValue, readGgufHeader } from "./gguf/header.ts";
export { encodeGguf } from "./gguf/write.ts";
export { encodeLlama2c, openLlama2c } from "./llama2c.ts";
export { encodeLlama2cTokenizer, parseLlama2cTokenizer } from "./llama2c-tokenizer.ts";
export { type ByteLevelBpe, byteLevelBpeFiles } from "./tokenizer/byte-level-bpe.ts";
export { huggingFaceTokenizer } from "./tokenizer/hugging-face-tokenizer.ts";
export { pieceType, type SentencePieces, sentencePieceFiles } from "./tokenizer/sentence-piece.ts";
export type {
  ChatMessage,
  StreamingDecoder,
  Tokenizer,
  TokenizerFiles,
  TokenizerJson,
} from "./tokenizer/tokenizer.ts";
