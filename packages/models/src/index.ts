export { type SplitRows, splitBranches } from "./branches.ts";
export { type CausalLm, causalLmFrom, createCausalLm, type InitialisationOptions } from "./causal-lm.ts";
export { chatTemplate } from "./chat-template.ts";
export type { Checkpoint, CheckpointTensor } from "./checkpoint.ts";
export {
  createImageClassifier,
  type ImageClassifier,
  type ImageClassifierOptions,
} from "./classifiers/image-classifier.ts";
export {
  type Activation,
  type CausalLmConfig,
  type CausalLmOptions,
  causalLmConfig,
  type RopeScaling,
} from "./config.ts";
export type { DecodingOptions, Finish, Generated, GeneratedToken } from "./decoding-loop.ts";
export type { DenoiserModel } from "./denoisers/denoiser-model.ts";
export { parametrisationFromDiffusers } from "./denoisers/diffusers-scheduler.ts";
export { type DiffusersUnetFiles, unetFromDiffusers, unetToDiffusers } from "./denoisers/diffusers-unet.ts";
export {
  type DiscriminatorHeads,
  type DiscriminatorHeadsOptions,
  discriminatorHeads,
} from "./denoisers/discriminator-heads.ts";
export {
  createMlpDenoiser,
  type MlpDenoiser,
  type MlpDenoiserOptions,
  type MlpSizes,
  mlpDenoiser,
} from "./denoisers/mlp-denoiser.ts";
export { type MlpFiles, mlpFromFiles, mlpToFiles } from "./denoisers/mlp-files.ts";
export {
  denoiseWith,
  discreteSchedule,
  edm,
  type Parametrisation,
  type Prediction,
  type RawNetwork,
} from "./denoisers/parametrisation.ts";
export {
  type CreateUnetOptions,
  createUnetDenoiser,
  type UnetDenoiser,
  unetDenoiser,
} from "./denoisers/unet-denoiser.ts";
export { unet2d, unet2dFeatures } from "./denoisers/unet2d.ts";
export { type Unet2dConfig, type Unet2dOptions, unet2dConfig } from "./denoisers/unet2d-config.ts";
export { diffusersConfig, unet2dConfigFromDiffusers } from "./denoisers/unet2d-diffusers-config.ts";
export { unet2dParameters } from "./denoisers/unet2d-parameters.ts";
export { type DropoutOptions, withDropout } from "./dropout.ts";
export { classify, classifyTexts, headLogits, headProbabilities, pool } from "./encoders/classify.ts";
export { type EmbedOptions, embed, embedTexts } from "./encoders/embed.ts";
export { bidirectionalLayout, encode, encodeFirst } from "./encoders/encode.ts";
export { createEncoder, type Encoder, encoderFrom, type NewHead } from "./encoders/encoder.ts";
export {
  type EncoderBatch,
  type EncoderItem,
  type EncoderText,
  encoderBatch,
  encoderItem,
  textBatch,
} from "./encoders/encoder-batch.ts";
export {
  type EncoderConfig,
  type EncoderHead,
  type EncoderOptions,
  type EncoderTask,
  encoderConfig,
} from "./encoders/encoder-config.ts";
export {
  encoderConfigFromHuggingFace,
  encoderFamilies,
  huggingFaceEncoderConfig,
} from "./encoders/encoder-families.ts";
export type { EncoderFamily } from "./encoders/encoder-family.ts";
export { encoderParameters } from "./encoders/encoder-parameters.ts";
export type { EncodeTextsOptions } from "./encoders/over-texts.ts";
export { selectEncoderLayers } from "./encoders/select-layers.ts";
export { configFromHuggingFace, families, huggingFaceConfig } from "./families.ts";
export type { Family, ForwardInput, KeyValueCache, ParameterSpec } from "./family.ts";
export { type GenerateOptions, generate, streamTokens } from "./generate.ts";
export { type GeneratedText, type GenerateTextOptions, generateText, streamText } from "./generate-text.ts";
export { type ByteSource, bytesSource } from "./gguf/byte-source.ts";
export { openGguf } from "./gguf/checkpoint.ts";
export type { GgufFloat } from "./gguf/encode.ts";
export { type GgufHeader, type GgufTensor, type GgufValue, readGgufHeader } from "./gguf/header.ts";
export { encodeGguf } from "./gguf/write.ts";
export { encodeLlama2c, openLlama2c } from "./llama2c.ts";
export { encodeLlama2cTokenizer, parseLlama2cTokenizer } from "./llama2c-tokenizer.ts";
export {
  addLora,
  type Lora,
  type LoraAdapter,
  type LoraConfig,
  type LoraOptions,
} from "./lora.ts";
export type { Adaptable } from "./lora-architecture.ts";
export { detachLora, mergeLora, unmergeLora, withoutAdapter } from "./lora-merge.ts";
export { attachLora, type LoraFiles, type LoraTensor, loraConfigFrom, loraState } from "./lora-peft.ts";
export type { Parameterised } from "./parameterised.ts";
export { copyModel, disposeModel, freeze, trainableParameters, unfreeze } from "./parameterised.ts";
export { type Draw, type SamplingLaw, sampleToken } from "./sampling.ts";
export {
  headWeight,
  hiddenStates,
  logits,
  sequenceLogProbs,
  tokenEntropies,
  tokenLogProbs,
} from "./scoring.ts";
export { evenlySpacedLayers, type SelectLayersOptions, selectLayers } from "./select-layers.ts";
export type { StopOptions } from "./stop.ts";
export {
  generateSeq2SeqText,
  type Seq2SeqText,
  type Seq2SeqTextOptions,
  t5Input,
} from "./t5/generate-text.ts";
export { selectT5Layers, type T5Layers } from "./t5/select-layers.ts";
export { type T5Batch, type T5Item, t5Batch } from "./t5/t5-batch.ts";
export { type T5Config, type T5Options, t5Config, t5ConfigFrom, t5ConfigJson } from "./t5/t5-config.ts";
export { generateSeq2Seq, type Seq2SeqOptions, streamSeq2Seq } from "./t5/t5-generate.ts";
export { createT5, type T5, t5From, t5HeadWeight } from "./t5/t5-model.ts";
export { t5Parameters } from "./t5/t5-parameters.ts";
export {
  seq2seqLogProbs,
  t5EncoderStates,
  t5HiddenStates,
  t5Logits,
  t5TokenLogProbs,
} from "./t5/t5-scoring.ts";
export { t5TokenLogProbsAndValues, t5TokenValues } from "./t5/t5-value-head.ts";
export {
  type Autoencoder,
  autoencoder,
  autoencoderParameters,
  createAutoencoder,
  type Posterior,
} from "./text-to-image/autoencoder.ts";
export {
  type AutoencoderConfig,
  autoencoderConfig,
  autoencoderConfigFromDiffusers,
  autoencoderDiffusersConfig,
} from "./text-to-image/autoencoder-config.ts";
export {
  type ClipText,
  clipTextParameters,
  clipTextStates,
  createClipText,
} from "./text-to-image/clip-text.ts";
export {
  type ClipTextConfig,
  clipTextConfig,
  clipTextConfigFrom,
  clipTextConfigJson,
} from "./text-to-image/clip-text-config.ts";
export { createTextDenoiser, type TextDenoiser, textDenoiser } from "./text-to-image/text-denoiser.ts";
export {
  clipTextIds,
  disposeTextToImage,
  type TextToImage,
  textStates,
} from "./text-to-image/text-to-image.ts";
export { textUnet, textUnetFeatures, textUnetParameters } from "./text-to-image/text-unet.ts";
export {
  type TextUnetConfig,
  type TextUnetOptions,
  textUnetConfig,
} from "./text-to-image/text-unet-config.ts";
export {
  textUnetConfigFromDiffusers,
  textUnetDiffusersConfig,
} from "./text-to-image/text-unet-diffusers-config.ts";
export { noBranch, type SharedPrompt, type TokenRows, tokenRows } from "./token-rows.ts";
export { type ByteLevelBpe, byteLevelBpeFiles } from "./tokenizer/byte-level-bpe.ts";
export { type ClipBpe, clipBpeFiles } from "./tokenizer/clip-bpe.ts";
export { huggingFaceTokenizer } from "./tokenizer/hugging-face-tokenizer.ts";
export type { ModelInput } from "./tokenizer/model-input.ts";
export { pieceType, type SentencePieces, sentencePieceFiles } from "./tokenizer/sentence-piece.ts";
export { readSentencePieceModel, type SentencePieceModel } from "./tokenizer/sentence-piece-model.ts";
export type {
  ChatMessage,
  StreamingDecoder,
  Tokenizer,
  TokenizerFiles,
  TokenizerJson,
} from "./tokenizer/tokenizer.ts";
export { type UnigramOptions, unigramFiles } from "./tokenizer/unigram.ts";
export { type WordPieces, wordPieceFiles } from "./tokenizer/word-piece.ts";
export { activationBytes, type TrainingMemoryOptions } from "./training-memory.ts";
export {
  createValueHead,
  disposeValueHead,
  tokenLogProbsAndValues,
  tokenValues,
  type ValueHead,
  type ValueHeadOptions,
  valueHeadNames,
  type Writer,
} from "./value-head.ts";
export type { HoldOptions, WeightStorage } from "./weight-storage.ts";
