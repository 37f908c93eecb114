import * as tf from "@tensorflow/tfjs-core";
import { dropped, rateOf } from "../dropout.ts";
import { project } from "../projection.ts";
import { encodeFirst, firstStates } from "./encode.ts";
import type { Encoder } from "./encoder.ts";
import type { EncoderBatch, EncoderText } from "./encoder-batch.ts";
import type { EncoderHead } from "./encoder-config.ts";
import { encoderFamilyOf } from "./encoder-families.ts";
import { type EncodeTextsOptions, overTexts } from "./over-texts.ts";

/** What the pooler makes of each row: tanh(W·first + b), [rows, hiddenSize]. @throws when the model has no pooler. */
export function pool(model: Encoder, hidden: tf.Tensor3D): tf.Tensor2D {
  const { pooler } = encoderFamilyOf(model.config.modelType).names;
  if (!model.config.pooler) throw new Error("the encoder has no pooler.");
  return tf.tidy(() => tf.tanh(project(model, pooler, firstStates(hidden), false)) as tf.Tensor2D);
}

/** The model's head. @throws when it has none. */
export function headOfEncoder({ config }: Encoder): EncoderHead {
  if (!config.head)
    throw new Error(
      "the encoder has no head; load it with labels, or with a checkpoint that was trained to classify.",
    );
  return config.head;
}

/** The head's outputs from hidden states of `encode` or `encodeFirst`, [rows, labels]. */
export function headLogits(model: Encoder, hidden: tf.Tensor3D): tf.Tensor2D {
  headOfEncoder(model);
  const { head } = encoderFamilyOf(model.config.modelType);
  const rate = rateOf(model, model.config.dropout.classifier);
  return tf.tidy(() => {
    let x: tf.Tensor = head.pooled ? pool(model, hidden) : firstStates(hidden);
    if (head.dropsInput) x = dropped(model, "classifier.input_dropout", x, rate);
    if (head.dense) {
      const { module, activation } = head.dense;
      x =
        activation === "relu"
          ? project(model, module, x, false, "relu")
          : tf.tanh(project(model, module, x, false));
    }
    x = dropped(model, "classifier.dropout", x, rate);
    return project(model, head.output, x, false) as tf.Tensor2D;
  });
}

/**
 * The head's outputs, differentiable: logits of the labels, or the numbers of a regression.
 *
 * @returns [rows, labels]
 * @throws when the model has no head, or the batch does not fit it.
 */
export function classify(model: Encoder, batch: EncoderBatch): tf.Tensor2D {
  headOfEncoder(model);
  return tf.tidy(() => headLogits(model, encodeFirst(model, batch)));
}

/** Logits as the task reads them: probabilities that sum to 1, one probability a label, or the numbers themselves. */
export function headProbabilities(model: Encoder, logits: tf.Tensor2D): tf.Tensor2D {
  const { task } = headOfEncoder(model);
  if (task === "regression") return tf.clone(logits);
  return task === "classification" ? tf.softmax(logits) : tf.sigmoid(logits);
}

/**
 * What a classifier says of texts or pairs: one array a text, of probabilities in the order of `config.head.labels`, or of a
 * regression's numbers; so a scorer or reward is one of its entries. Texts of like length are computed together.
 *
 * @throws when the model has no head or no tokenizer.
 */
export function classifyTexts(
  model: Encoder,
  texts: readonly EncoderText[],
  options: EncodeTextsOptions = {},
): Promise<Float32Array[]> {
  headOfEncoder(model);
  return overTexts(model, texts, options, (batch) => headProbabilities(model, classify(model, batch)));
}
