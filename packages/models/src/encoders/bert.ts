import { activationFrom, activationName } from "../hugging-face-activation.ts";
import { booleanField, idField, type Json, numberField, stringField } from "../json-field.ts";
import { type EncoderConfig, encoderConfig } from "./encoder-config.ts";
import type { EncoderFamily, EncoderNames } from "./encoder-family.ts";
import { headFrom, headJson } from "./encoder-labels.ts";

/** BERT's names, which RoBERTa took over under a prefix of its own. */
const namesUnder = (prefix: string): EncoderNames => ({
  prefix,
  words: `${prefix}embeddings.word_embeddings`,
  positions: `${prefix}embeddings.position_embeddings`,
  types: `${prefix}embeddings.token_type_embeddings`,
  embeddingNorm: `${prefix}embeddings.LayerNorm`,
  layer: (index) => `${prefix}encoder.layer.${index}.`,
  query: "attention.self.query",
  key: "attention.self.key",
  value: "attention.self.value",
  output: "attention.output.dense",
  attentionNorm: "attention.output.LayerNorm",
  up: "intermediate.dense",
  down: "output.dense",
  outputNorm: "output.LayerNorm",
  pooler: `${prefix}pooler.dense`,
});

const classes: Record<string, string> = { bert: "Bert", roberta: "Roberta", "xlm-roberta": "XLMRoberta" };

function configFrom(json: Json): EncoderConfig {
  const modelType = stringField(json, "model_type", "bert");
  const roberta = modelType !== "bert";
  const kind = stringField(json, "position_embedding_type", "absolute");
  if (kind !== "absolute")
    throw new Error(`config.json: position_embedding_type "${kind}" is not supported; only absolute is.`);
  if (booleanField(json, "is_decoder", false))
    throw new Error("config.json: is_decoder is set, but only encoders are supported.");
  const hiddenSize = numberField(json, "hidden_size", 768);
  const padId = idField(json, "pad_token_id") ?? (roberta ? 1 : 0);
  const hidden = numberField(json, "hidden_dropout_prob", 0.1);
  return encoderConfig({
    modelType,
    vocabularySize: numberField(json, "vocab_size", roberta ? 50265 : 30522),
    hiddenSize,
    intermediateSize: numberField(json, "intermediate_size", 3072),
    layers: numberField(json, "num_hidden_layers", 12),
    heads: numberField(json, "num_attention_heads", 12),
    positions: numberField(json, "max_position_embeddings", 512),
    firstPosition: roberta ? padId + 1 : 0,
    tokenTypes: numberField(json, "type_vocab_size", 2),
    normEpsilon: numberField(json, "layer_norm_eps", 1e-12),
    activation: activationFrom(stringField(json, "hidden_act", "gelu")),
    dropout: {
      hidden,
      attention: numberField(json, "attention_probs_dropout_prob", 0.1),
      classifier: numberField(json, "classifier_dropout", hidden),
    },
    initializerRange: numberField(json, "initializer_range", 0.02),
    padId,
    head: headFrom(json),
    huggingFace: json,
  });
}

function configJson(config: EncoderConfig): Json {
  const name = classes[config.modelType]!;
  const { dropout } = config;
  return {
    ...config.huggingFace,
    architectures: [`${name}${config.head ? "ForSequenceClassification" : "Model"}`],
    model_type: config.modelType,
    vocab_size: config.vocabularySize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    max_position_embeddings: config.positions,
    type_vocab_size: config.tokenTypes,
    layer_norm_eps: config.normEpsilon,
    hidden_act: activationName(config.activation),
    hidden_dropout_prob: dropout.hidden,
    attention_probs_dropout_prob: dropout.attention,
    classifier_dropout: dropout.classifier === dropout.hidden ? null : dropout.classifier,
    initializer_range: config.initializerRange,
    pad_token_id: config.padId,
    ...headJson(config.head),
  };
}

/** BERT (Devlin et al. 2018, https://arxiv.org/abs/1810.04805) and what has its names, such as MiniLM. */
export const bert: EncoderFamily = {
  configFrom,
  configJson,
  names: namesUnder("bert."),
  head: { pooled: true, output: "classifier", modulesToSave: ["pooler", "classifier"] },
  dropsAttended: true,
  loraTargets: ["query", "value"],
};

/** RoBERTa (Liu et al. 2019, https://arxiv.org/abs/1907.11692): positions begin beyond the padding's id; the head has a layer of its own. */
export const roberta: EncoderFamily = {
  configFrom,
  configJson,
  names: namesUnder("roberta."),
  head: {
    pooled: false,
    dropsInput: true,
    dense: { module: "classifier.dense", activation: "tanh" },
    output: "classifier.out_proj",
    modulesToSave: ["classifier"],
  },
  dropsAttended: true,
  loraTargets: ["query", "value"],
};
