import { activationFrom, activationName } from "../hugging-face-activation.ts";
import { idField, type Json, numberField, stringField } from "../json-field.ts";
import { type EncoderConfig, encoderConfig } from "./encoder-config.ts";
import type { EncoderFamily } from "./encoder-family.ts";
import { headFrom, headJson } from "./encoder-labels.ts";

function configFrom(json: Json): EncoderConfig {
  return encoderConfig({
    modelType: "distilbert",
    vocabularySize: numberField(json, "vocab_size", 30522),
    hiddenSize: numberField(json, "dim", 768),
    intermediateSize: numberField(json, "hidden_dim", 3072),
    layers: numberField(json, "n_layers", 6),
    heads: numberField(json, "n_heads", 12),
    positions: numberField(json, "max_position_embeddings", 512),
    activation: activationFrom(stringField(json, "activation", "gelu")),
    dropout: {
      hidden: numberField(json, "dropout", 0.1),
      attention: numberField(json, "attention_dropout", 0.1),
      classifier: numberField(json, "seq_classif_dropout", 0.2),
    },
    initializerRange: numberField(json, "initializer_range", 0.02),
    padId: idField(json, "pad_token_id") ?? 0,
    head: headFrom(json),
    huggingFace: json,
  });
}

function configJson(config: EncoderConfig): Json {
  return {
    ...config.huggingFace,
    architectures: [config.head ? "DistilBertForSequenceClassification" : "DistilBertModel"],
    model_type: "distilbert",
    vocab_size: config.vocabularySize,
    dim: config.hiddenSize,
    hidden_dim: config.intermediateSize,
    n_layers: config.layers,
    n_heads: config.heads,
    max_position_embeddings: config.positions,
    activation: activationName(config.activation),
    dropout: config.dropout.hidden,
    attention_dropout: config.dropout.attention,
    seq_classif_dropout: config.dropout.classifier,
    initializer_range: config.initializerRange,
    pad_token_id: config.padId,
    ...headJson(config.head),
  };
}

/** DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108): BERT without token types and pooler, under names of its own. */
export const distilbert: EncoderFamily = {
  configFrom,
  configJson,
  names: {
    prefix: "distilbert.",
    words: "distilbert.embeddings.word_embeddings",
    positions: "distilbert.embeddings.position_embeddings",
    types: "distilbert.embeddings.token_type_embeddings",
    embeddingNorm: "distilbert.embeddings.LayerNorm",
    layer: (index) => `distilbert.transformer.layer.${index}.`,
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    output: "attention.out_lin",
    attentionNorm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    outputNorm: "output_layer_norm",
    pooler: "distilbert.pooler.dense",
  },
  head: {
    pooled: false,
    dense: { module: "pre_classifier", activation: "relu" },
    output: "classifier",
    modulesToSave: ["pre_classifier", "classifier"],
  },
  dropsAttended: false,
  loraTargets: ["q_lin", "v_lin"],
};
