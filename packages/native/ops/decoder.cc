// One more token a row through a whole decoder: sampling is bound by how often it starts operations, not by what they compute.
#include <array>
#include <cmath>
#include <cstring>

#include "activation.h"
#include "attention.h"
#include "lanes.h"
#include "product.h"
#include "room.h"
#include "tensorflow-op.h"
#include "threads.h"

namespace fdiv_ops {
namespace {

// The places of tensors among the inputs: those of the model, then those of each layer.
enum ModelSlot { ids, positions, layout, embeddings, positionEmbeddings, cosines, sines, normWeight, normBias, head, settings, modelSlots };
enum LayerSlot {
  attentionNormWeight, attentionNormBias, queryWeight, queryBias, keyWeight, keyBias, valueWeight, valueBias,
  outputWeight, outputBias, feedForwardNormWeight, feedForwardNormBias, gateWeight, gateBias, upWeight, upBias,
  downWeight, downBias, keyCache, valueCache, layerSlots
};

/** y [rows, outputs] = x·weight + bias, and what is added or applied as it is written. */
struct Linear {
  Matrix weight;
  const float* bias;
  int64_t inputs, outputs;
  /** The weight packed beforehand, instead of `weight`; or null. */
  const float* panels = nullptr;
};

void addBias(float* y, const float* bias, int64_t rows, int64_t columns, int64_t from, int64_t to) {
  for (int64_t r = 0; r < rows; r++)
#pragma omp simd
    for (int64_t i = from; i < to; i++) y[r * columns + i] += bias[i];
}

/** Runs after(from, to) on the columns that a task has just computed, while they are warm. */
template <typename After>
void applyLinear(const float* x, int64_t rows, const Linear& linear, float* y, std::vector<float>& packed, const After& after) {
  const auto finish = [&](int64_t from, int64_t to) {
    if (linear.bias) addBias(y, linear.bias, rows, linear.outputs, from, to);
    after(from, to);
  };
  // As many tasks as keep two dozen threads busy, in whole vectors, of so many columns that memory is read in stretches.
  const int64_t span = std::max<int64_t>(8 * widest, (linear.outputs / 24 + 2 * widest - 1) / (2 * widest) * 2 * widest);
  if (linear.panels) {
    float* ready = room(packed, rows * linear.inputs);
    packForPanels(rows, linear.inputs, x, ready);
    return forEachSpan(linear.outputs, span, [&](int64_t from, int64_t to) {
      panelsProduct(rows, linear.outputs, linear.inputs, ready, linear.panels, from, to, y);
      finish(from, to);
    });
  }
  const Matrix left = matrix(x, linear.inputs, false);
  if (rows > fewRows) {
    product(rows, linear.outputs, linear.inputs, left, linear.weight, y);
    return forEachSpan(linear.outputs, span, finish);
  }
  float* ready = room(packed, packedFewSize(rows, linear.inputs, linear.weight));
  packFew(rows, linear.inputs, left, linear.weight, ready);
  forEachSpan(linear.outputs, span, [&](int64_t from, int64_t to) {
    fewRowsProduct(rows, linear.outputs, linear.inputs, ready, linear.weight, from, to, y);
    finish(from, to);
  });
}

void norm(const float* x, float* y, const float* weight, const float* bias, int64_t n, float epsilon) {
  float sum = 0, square = 0;
  if (bias)
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += x[i];
  const float mean = sum / static_cast<float>(n);
#pragma omp simd reduction(+ : square)
  for (int64_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
  const float factor = 1.0f / std::sqrt(square / static_cast<float>(n) + epsilon);
  for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor * weight[i] + (bias ? bias[i] : 0.0f);
}

void turn(float* x, const float* c, const float* s, int64_t heads, int64_t size, int64_t half) {
  for (int64_t h = 0; h < heads; h++)
    for (int64_t i = 0; i < half; i++) {
      float *a = x + h * size + i, *b = a + half;
      const float first = *a, second = *b;
      *a = first * c[i] - second * s[i];
      *b = second * c[i] + first * s[i];
    }
}

const Signature decoderStepSignature{"FdivDecoderStep",
                                     {"ids: int32", "positions: int32", "layout: int32", "tensors: N * float",
                                      "halves: H * int32"},
                                     {"logits: float"},
                                     {"N: int >= 1", "H: int >= 0", "layers: int", "heads: int", "kv_heads: int",
                                      "epsilon: float", "activation: int", "transposed: bool"}};

/** A step of one batch; its buffers are this thread's, and grow to the largest model that it has seen. */
class Step {
 public:
  explicit Step(Call& call)
      : call_(call),
        tensors_(call.attributes.integer(0)),
        halves_(call.attributes.integer(1)),
        layers_(call.attributes.integer(2)),
        heads_(call.attributes.integer(3)),
        kvHeads_(call.attributes.integer(4)),
        epsilon_(call.attributes.real(5)),
        activation_(call.attributes.integer(6)),
        transposed_(call.attributes.flag(7)),
        rows_(call.size(ids)),
        hidden_(call.size(normWeight)),
        keys_(call.dim(layer(0, keyCache), 1)),
        kvWidth_(call.dim(layer(0, keyCache), 2)),
        size_(kvWidth_ / kvHeads_),
        width_(heads_ * size_) {}

  bool fits() {
    if (ids + 3 + tensors_ != modelSlots + layers_ * layerSlots || (halves_ != 0 && halves_ != tensors_))
      return refuse("another number of tensors is due");
    const int32_t *id = call_.integers(ids), *position = call_.integers(positions), *at = call_.integers(layout);
    const int64_t reach = has(cosines) ? call_.dim(cosines, 0) : has(positionEmbeddings) ? rowsOf(positionEmbeddings) : -1;
    for (int64_t r = 0; r < rows_; r++) {
      if (id[r] < 0 || id[r] >= rowsOf(embeddings)) return refuse("id " + std::to_string(id[r]) + " is outside the vocabulary");
      if (reach >= 0 && (position[r] < 0 || position[r] >= reach))
        return refuse("position " + std::to_string(position[r]) + " is outside [0, " + std::to_string(reach) + ")");
      if (at[3 * r] < 0 || at[3 * r] >= keys_) return refuse("slot " + std::to_string(at[3 * r]) + " is outside the cache");
    }
    if (isPacked(head) && !fitsPanels(head, hidden_, rowsOf(embeddings))) return refuse("the packed head has another size");
    for (int64_t i = 0; i < layers_; i++)
      for (const auto& [slot, inputs, outputs] : moduleSizes(i))
        if (isPacked(layer(i, slot)) && !fitsPanels(layer(i, slot), inputs, outputs))
          return refuse("a packed weight of layer " + std::to_string(i) + " has another size");
    return true;
  }

  void run() {
    const Awake awake;
    float* x = room(stream_, rows_ * hidden_);
    embed(x);
    for (int64_t i = 0; i < layers_; i++) {
      attend(i, x);
      feedForward(i, x);
    }
    float* y = room(normed_, rows_ * hidden_);
    normRows(x, y, floats(normWeight), has(normBias) ? floats(normBias) : nullptr);
    const int64_t vocabulary = isPacked(head) ? rowsOf(embeddings) : rowsOf(head);
    float* logits = call_.output(0, {rows_, vocabulary});
    if (!call_.ok()) return;
    const Linear last{matrixAt(head, hidden_, true), nullptr, hidden_, vocabulary, isPacked(head) ? floats(head) : nullptr};
    applyLinear(y, rows_, last, logits, packed_, [](int64_t, int64_t) {});
  }

 private:
  static int layer(int64_t index, int slot) { return static_cast<int>(modelSlots + index * layerSlots + slot); }
  const float* floats(int input) const { return call_.floats(input); }
  bool has(int input) const { return call_.size(input) > 0 || isHalf(input); }
  /** Whether a weight lies in memory as bfloat16, in pairs; then its float32 slot is empty. */
  bool isHalf(int input) const { return halves_ > 0 && call_.size(input + static_cast<int>(tensors_)) > 0; }
  int64_t rowsOf(int input) const { return call_.dim(isHalf(input) ? input + static_cast<int>(tensors_) : input, 0); }
  int64_t sizeOf(int input) const {
    return isHalf(input) ? 2 * call_.size(input + static_cast<int>(tensors_)) : call_.size(input);
  }
  Matrix matrixAt(int input, int64_t columns, bool transposed) const {
    if (isHalf(input)) return matrix(call_.integers(input + static_cast<int>(tensors_)), columns, transposed, true);
    return matrix(floats(input), columns, transposed);
  }
  /** Whether a weight was packed beforehand, [panels, inputs, panel's width]. */
  bool isPacked(int input) const { return call_.rank(input) == 3; }
  bool fitsPanels(int input, int64_t inputs, int64_t outputs) const {
    return call_.dim(input, 0) == panelsOf(outputs) && call_.dim(input, 1) == inputs && call_.dim(input, 2) == panelWidth();
  }
  struct ModuleSize {
    LayerSlot slot;
    int64_t inputs, outputs;
  };
  /** What a packed weight, whose last panel is filled up, does not say of itself. */
  std::array<ModuleSize, 7> moduleSizes(int64_t index) const {
    const bool joint = !has(layer(index, keyWeight));
    const int64_t wide = isPacked(layer(index, downWeight)) ? call_.dim(layer(index, downWeight), 1) : -1;
    return {{{queryWeight, hidden_, joint ? width_ + 2 * kvWidth_ : width_},
             {keyWeight, hidden_, kvWidth_},
             {valueWeight, hidden_, kvWidth_},
             {outputWeight, width_, hidden_},
             {gateWeight, hidden_, wide},
             {upWeight, hidden_, wide},
             {downWeight, wide, hidden_}}};
  }
  bool refuse(const std::string& why) {
    call_.fail("FdivDecoderStep: " + why + ".");
    return false;
  }

  Linear linear(int64_t index, int weight, int64_t inputs) const {
    const int at = layer(index, weight);
    const float* bias = has(at + 1) ? floats(at + 1) : nullptr;
    if (isPacked(at))
      for (const auto& module : moduleSizes(index))
        if (module.slot == weight) return {{}, bias, inputs, module.outputs, floats(at)};
    const int64_t outputs = sizeOf(at) / inputs;
    return {matrixAt(at, transposed_ ? inputs : outputs, transposed_), bias, inputs, outputs};
  }

  template <typename Number>
  void addRows(const Number* table, const int32_t* which, float* x) const {
    for (int64_t r = 0; r < rows_; r++)
      for (int64_t i = 0; i < hidden_; i++) x[r * hidden_ + i] += widened(table[which[r] * hidden_ + i]);
  }
  void addRows(int input, int which, float* x) const {
    const Matrix table = matrixAt(input, hidden_, false);
    if (table.half) return addRows(static_cast<const Half*>(table.data), call_.integers(which), x);
    addRows(static_cast<const float*>(table.data), call_.integers(which), x);
  }
  void embed(float* x) const {
    std::fill_n(x, rows_ * hidden_, 0.0f);
    addRows(embeddings, ids, x);
    if (has(positionEmbeddings)) addRows(positionEmbeddings, positions, x);
  }

  void normRows(const float* x, float* y, const float* weight, const float* bias) const {
    for (int64_t r = 0; r < rows_; r++) norm(x + r * hidden_, y + r * hidden_, weight, bias, hidden_, epsilon_);
  }
  void normLayer(int64_t index, int slot, const float* x, float* y) const {
    const int at = layer(index, slot);
    normRows(x, y, floats(at), has(at + 1) ? floats(at + 1) : nullptr);
  }

  /** x ← x + module(from), column by column as they are computed. */
  void addLinear(const Linear& module, const float* from, float* x) {
    float* y = room(added_, rows_ * module.outputs);
    applyLinear(from, rows_, module, y, packed_, [&](int64_t begin, int64_t end) {
      for (int64_t r = 0; r < rows_; r++)
        for (int64_t i = begin; i < end; i++) x[r * hidden_ + i] += y[r * hidden_ + i];
    });
  }

  void attend(int64_t index, float* x) {
    float* y = room(normed_, rows_ * hidden_);
    normLayer(index, attentionNormWeight, x, y);
    const bool joint = !has(layer(index, keyWeight));
    const int64_t all = width_ + 2 * kvWidth_;
    const auto nothing = [](int64_t, int64_t) {};
    // Rows of queries, keys and values: side by side where one product gives them, else in three blocks.
    float* mixed = room(projected_, rows_ * all);
    float *q = mixed, *k = joint ? mixed + width_ : mixed + rows_ * width_, *v = joint ? k + kvWidth_ : k + rows_ * kvWidth_;
    const int64_t qStep = joint ? all : width_, kvStep = joint ? all : kvWidth_;
    applyLinear(y, rows_, linear(index, queryWeight, hidden_), q, packed_, nothing);
    if (!joint) {
      applyLinear(y, rows_, linear(index, keyWeight, hidden_), k, packed_, nothing);
      applyLinear(y, rows_, linear(index, valueWeight, hidden_), v, packed_, nothing);
    }
    float* seen = room(attended_, rows_ * width_);
    const float* set = floats(settings) + 2 * index;
    const AttentionShape shape{rows_, 1, keys_, heads_, kvHeads_, size_, static_cast<int64_t>(set[1]), set[0]};
    const int64_t half = has(cosines) ? call_.dim(cosines, 1) : 0;
    float *keyStore = call_.changed(layer(index, keyCache)), *valueStore = call_.changed(layer(index, valueCache));
    forEachTask(rows_, [&](int64_t r) {
      const int32_t* at = call_.integers(layout) + 3 * r;
      const int64_t position = call_.integers(positions)[r];
      if (half > 0) {
        turn(q + r * qStep, floats(cosines) + position * half, floats(sines) + position * half, heads_, size_, half);
        turn(k + r * kvStep, floats(cosines) + position * half, floats(sines) + position * half, kvHeads_, size_, half);
      }
      float *rowKeys = keyStore + r * keys_ * kvWidth_, *rowValues = valueStore + r * keys_ * kvWidth_;
      std::memcpy(rowKeys + at[0] * kvWidth_, k + r * kvStep, sizeof(float) * static_cast<size_t>(kvWidth_));
      std::memcpy(rowValues + at[0] * kvWidth_, v + r * kvStep, sizeof(float) * static_cast<size_t>(kvWidth_));
      attendRow(shape, at, q + r * qStep, rowKeys, rowValues, seen + r * width_);
    });
    addLinear(linear(index, outputWeight, width_), seen, x);
  }

  void feedForward(int64_t index, float* x) {
    float* y = room(normed_, rows_ * hidden_);
    normLayer(index, feedForwardNormWeight, x, y);
    const Linear up = linear(index, upWeight, hidden_);
    const int64_t wide = up.outputs;
    float* inner = room(projected_, 2 * rows_ * wide);
    const bool gated = has(layer(index, gateWeight));
    if (gated) {
      float* gate = inner + rows_ * wide;
      applyLinear(y, rows_, linear(index, gateWeight, hidden_), gate, packed_, [&](int64_t from, int64_t to) {
        for (int64_t r = 0; r < rows_; r++) activateInPlace(activation_, gate + r * wide + from, to - from);
      });
      applyLinear(y, rows_, up, inner, packed_, [&](int64_t from, int64_t to) {
        for (int64_t r = 0; r < rows_; r++)
          for (int64_t i = from; i < to; i++) inner[r * wide + i] *= gate[r * wide + i];
      });
    } else {
      applyLinear(y, rows_, up, inner, packed_, [&](int64_t from, int64_t to) {
        for (int64_t r = 0; r < rows_; r++) activateInPlace(activation_, inner + r * wide + from, to - from);
      });
    }
    addLinear(linear(index, downWeight, wide), inner, x);
  }

  Call& call_;
  int64_t tensors_, halves_, layers_, heads_, kvHeads_;
  float epsilon_;
  int64_t activation_;
  bool transposed_;
  int64_t rows_, hidden_, keys_, kvWidth_, size_, width_;
  static thread_local std::vector<float> stream_, normed_, projected_, attended_, added_, packed_;
};

thread_local std::vector<float> Step::stream_, Step::normed_, Step::projected_, Step::attended_, Step::added_, Step::packed_;

void decoderStep(Call& call) {
  // One tensor alone tells that the lists are whole, before any is looked at.
  if (call.inputs() < modelSlots + layerSlots) return call.fail("FdivDecoderStep: too few tensors.");
  Step step(call);
  if (step.fits()) step.run();
}

}  // namespace

std::string registerDecoderOperations() { return Operation<decoderStepSignature, decoderStep>::registered(); }

}  // namespace fdiv_ops
