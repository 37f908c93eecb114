function checkPairs(what: string, predictions: ArrayLike<number>, labels: ArrayLike<number>): void {
  if (predictions.length !== labels.length || labels.length === 0)
    throw new RangeError(`${what}: ${predictions.length} predictions for ${labels.length} labels.`);
}

/** The share of predictions that are right. @throws RangeError on lengths */
export function accuracy(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  checkPairs("accuracy", predictions, labels);
  let right = 0;
  for (let i = 0; i < labels.length; i++) if (predictions[i] === labels[i]) right++;
  return right / labels.length;
}

/**
 * F1 of one class, 2TP/(2TP + FP + FN); 0 where the class is neither predicted nor there.
 *
 * @param positive the class; default 1, as the suites judge MRPC, QQP and MultiRC's answers
 */
export function f1Score(predictions: ArrayLike<number>, labels: ArrayLike<number>, positive = 1): number {
  checkPairs("f1Score", predictions, labels);
  let [hits, errors] = [0, 0];
  for (let i = 0; i < labels.length; i++) {
    const [predicted, is] = [predictions[i] === positive, labels[i] === positive];
    if (predicted && is) hits++;
    else if (predicted !== is) errors++;
  }
  return hits === 0 ? 0 : (2 * hits) / (2 * hits + errors);
}

/** The mean of every class's F1, over the classes that are predicted or there: SuperGLUE's figure for CB. */
export function macroF1(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  checkPairs("macroF1", predictions, labels);
  const classes = [...new Set([...Array.from(predictions), ...Array.from(labels)])];
  return classes.reduce((sum, one) => sum + f1Score(predictions, labels, one), 0) / classes.length;
}

/**
 * Matthews' correlation of any number of classes (Gorodkin 2004): (c·s − Σ p_k t_k)/√((s² − Σ p_k²)(s² − Σ t_k²)), c the right ones of s,
 * p_k and t_k how often k is predicted and there; 0 where either side has one class only.
 */
export function matthewsCorrelation(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  checkPairs("matthewsCorrelation", predictions, labels);
  const predicted = new Map<number, number>();
  const there = new Map<number, number>();
  let right = 0;
  for (let i = 0; i < labels.length; i++) {
    predicted.set(predictions[i]!, (predicted.get(predictions[i]!) ?? 0) + 1);
    there.set(labels[i]!, (there.get(labels[i]!) ?? 0) + 1);
    if (predictions[i] === labels[i]) right++;
  }
  const total = labels.length;
  const squares = (counts: ReadonlyMap<number, number>): number =>
    [...counts.values()].reduce((sum, count) => sum + count ** 2, 0);
  const products = [...predicted].reduce((sum, [k, count]) => sum + count * (there.get(k) ?? 0), 0);
  const scale = Math.sqrt((total ** 2 - squares(predicted)) * (total ** 2 - squares(there)));
  return scale === 0 ? 0 : (right * total - products) / scale;
}
