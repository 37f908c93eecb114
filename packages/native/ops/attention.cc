// Grouped-query attention, forward and backward, without ever holding all scores: a tile of queries at a time.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "attention.h"
#include "room.h"
#include "small-product.h"
#include "tensorflow-op.h"
#include "threads.h"
#include "vector-math.h"

namespace fdiv_ops {
namespace {

using Shape = AttentionShape;

/** Queries of one head that are worked on together. */
constexpr int64_t tileRows = 24;

/** The keys that query `time` of a row sees: at most two ranges, as the layout [offset, prefixEnd, branchStart] has it. */
void visible(const Shape& shape, const int32_t* layout, int64_t time, Range (&ranges)[2]) {
  const int64_t at = layout[0] + time;
  const int64_t least = shape.window > 0 ? std::max<int64_t>(0, at - shape.window + 1) : 0;
  const int64_t last = std::min<int64_t>(at + 1, shape.keys);
  if (at < layout[2]) {
    ranges[0] = {std::min(least, last), last};
    ranges[1] = {0, 0};
    return;
  }
  const int64_t prefix = std::min<int64_t>(layout[1], shape.keys);
  const int64_t branch = std::max({static_cast<int64_t>(layout[2]), prefix, least});
  ranges[0] = {std::min(least, prefix), prefix};
  ranges[1] = {std::min(branch, last), last};
}

/** The keys that a tile needs, as at most two stretches that lie one behind the other in its columns. */
struct Tile {
  int64_t rows = 0, columns = 0;
  Range stretches[2];
  Range seen[tileRows][2];

  Tile(const Shape& shape, const int32_t* layout, int64_t first) {
    rows = std::min(tileRows, shape.time - first);
    for (int64_t i = 0; i < rows; i++) {
      visible(shape, layout, first + i, seen[i]);
      for (int part = 0; part < 2; part++) widen(stretches[part], seen[i][part]);
    }
    if (stretches[1].length() > 0 && stretches[0].length() > 0 && stretches[1].from <= stretches[0].to) {
      widen(stretches[0], stretches[1]);
      stretches[1] = {0, 0};
    }
    columns = stretches[0].length() + stretches[1].length();
  }

  static void widen(Range& range, const Range& by) {
    if (by.length() == 0) return;
    if (range.length() == 0) {
      range = by;
      return;
    }
    range = {std::min(range.from, by.from), std::max(range.to, by.to)};
  }

  int64_t offset(int part) const { return part == 0 ? 0 : stretches[0].length(); }

  /** Where keys that a row sees lie among the tile's columns. */
  Range columnsOf(const Range& keys) const {
    if (keys.length() == 0) return {0, 0};
    const int part = stretches[1].length() > 0 && keys.from >= stretches[1].from ? 1 : 0;
    const int64_t shift = offset(part) - stretches[part].from;
    return {keys.from + shift, keys.to + shift};
  }
};

thread_local std::vector<float> transposedKeys, transposedValues, scores, slopes;

/** One head of [keys, kvWidth] as [size, keys], so that scores are a product with contiguous rows. */
float* transposed(std::vector<float>& buffer, const float* from, const Shape& shape) {
  float* to = room(buffer, shape.size * shape.keys);
  for (int64_t j = 0; j < shape.keys; j++)
    for (int64_t d = 0; d < shape.size; d++) to[d * shape.keys + j] = from[j * shape.kvWidth() + d];
  return to;
}

/** rows·(a stretch's keys), for every stretch of a tile: [rows, columns]. */
void tileProduct(const Tile& tile, const Shape& shape, const float* rows, const float* transposedHead, float* out) {
  std::fill_n(out, tile.rows * tile.columns, 0.0f);
  for (int part = 0; part < 2; part++)
    if (const int64_t length = tile.stretches[part].length())
      addProduct(tile.rows, length, shape.size, rows, shape.width(), 1, transposedHead + tile.stretches[part].from,
                 shape.keys, out + tile.offset(part), tile.columns);
}

/** Sets to zero what a row does not see. */
void hide(float* row, int64_t columns, const Range (&seen)[2]) {
  const Range *first = &seen[0], *second = &seen[1];
  if (first->length() == 0) std::swap(first, second);
  std::fill(row, row + (first->length() ? first->from : columns), 0.0f);
  if (first->length() == 0) return;
  if (second->length() == 0) {
    std::fill(row + first->to, row + columns, 0.0f);
    return;
  }
  std::fill(row + first->to, row + second->from, 0.0f);
  std::fill(row + second->to, row + columns, 0.0f);
}

const Signature attentionSignature{"FdivAttention",
                                   {"q: float", "k: float", "v: float", "layout: int32"},
                                   {"out: float", "log_sum_exp: float"},
                                   {"heads: int", "kv_heads: int", "scale: float", "window: int"}};

Shape shapeOf(const Call& call, int q) {
  const int64_t heads = call.attributes.integer(0), kvHeads = call.attributes.integer(1);
  return {call.dim(q, 0),          call.dim(q, 1), call.dim(q + 1, 1), heads, kvHeads, call.dim(q, 2) / heads,
          call.attributes.integer(3), call.attributes.real(2)};
}

/** The softmax of a row of scaled products, in place, without its divisor; returns the log-sum-exp and the divisor's inverse. */
float softmaxRow(float* row, const Shape& shape, const Range (&seen)[2], float& inverse) {
  float most = -INFINITY;
  for (const Range& range : seen)
#pragma omp simd reduction(max : most)
    for (int64_t j = range.from; j < range.to; j++) most = row[j] > most ? row[j] : most;
  if (!std::isfinite(most)) {
    const bool sees = seen[0].length() + seen[1].length() > 0;
    // All products were NaN, or one overflowed: that must be seen, not turned into zeros.
    inverse = sees ? NAN : 0.0f;
    return sees ? NAN : -INFINITY;
  }
  float sum = 0;
  for (const Range& range : seen)
#pragma omp simd reduction(+ : sum)
    for (int64_t j = range.from; j < range.to; j++) {
      row[j] = exponential(shape.scale * (row[j] - most));
      sum += row[j];
    }
  inverse = 1.0f / sum;
  return shape.scale * most + std::log(sum);
}

/** A single query of one head: dot products with the keys where they lie, since turning them round would cost as much. */
void attendOne(const AttentionShape& shape, const int32_t* layout, int64_t time, const float* q, const float* k, const float* v,
               float* out, float* logSumExp) {
  Range seen[2];
  visible(shape, layout, time, seen);
  float* row = room(scores, shape.keys);
  for (const Range& range : seen)
    for (int64_t j = range.from; j < range.to; j++) {
      const float* __restrict key = k + j * shape.kvWidth();
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t d = 0; d < shape.size; d++) sum += q[d] * key[d];
      row[j] = sum;
    }
  float inverse = 0;
  *logSumExp = softmaxRow(row, shape, seen, inverse);
  std::fill_n(out, shape.size, 0.0f);
  for (const Range& range : seen)
    if (range.length() > 0)
      addProduct(1, shape.size, range.length(), row + range.from, 0, 1, v + range.from * shape.kvWidth(),
                 shape.kvWidth(), out, 0);
  for (int64_t d = 0; d < shape.size; d++) out[d] *= inverse;
}

inline float dot(const float* a, const float* b, int64_t size) {
  typename VectorOf<widest>::Type sum = {};
  int64_t d = 0;
  for (; d + widest <= size; d += widest) sum += load<widest>(a + d) * load<widest>(b + d);
  float rest = 0;
  for (; d < size; d++) rest += a[d] * b[d];
  return laneSum<widest>(sum) + rest;
}

/** out += Σ p[i]·v[i·row] over `count` ≤ 4 rows of `size`. */
template <int count>
inline void addRows(const float* p, const float* v, int64_t row, int64_t size, float* __restrict out) {
#pragma omp simd
  for (int64_t d = 0; d < size; d++) {
    float sum = p[0] * v[d];
    for (int i = 1; i < count; i++) sum += p[i] * v[i * row + d];
    out[d] += sum;
  }
}

}  // namespace

void attendRow(const AttentionShape& shape, const int32_t* layout, const float* q, const float* k, const float* v, float* out) {
  Range seen[2];
  visible(shape, layout, 0, seen);
  const int64_t kvWidth = shape.kvWidth(), size = shape.size, groups = shape.groups();
  float* all = room(scores, shape.heads * shape.keys);
  for (const Range& range : seen)
    for (int64_t j = range.from; j < range.to; j++)
      for (int64_t h = 0; h < shape.heads; h++)
        all[h * shape.keys + j] = dot(q + h * size, k + j * kvWidth + h / groups * size, size);
  float* inverse = room(slopes, shape.heads);
  for (int64_t h = 0; h < shape.heads; h++) softmaxRow(all + h * shape.keys, shape, seen, inverse[h]);
  std::fill_n(out, shape.width(), 0.0f);
  for (const Range& range : seen) {
    int64_t j = range.from;
    for (; j + 4 <= range.to; j += 4)
      for (int64_t h = 0; h < shape.heads; h++)
        addRows<4>(all + h * shape.keys + j, v + j * kvWidth + h / groups * size, kvWidth, size, out + h * size);
    for (; j < range.to; j++)
      for (int64_t h = 0; h < shape.heads; h++)
        addRows<1>(all + h * shape.keys + j, v + j * kvWidth + h / groups * size, kvWidth, size, out + h * size);
  }
  for (int64_t h = 0; h < shape.heads; h++)
    for (int64_t d = 0; d < size; d++) out[h * size + d] *= inverse[h];
}

namespace {

void attention(Call& call) {
  const float *q = call.floats(0), *k = call.floats(1), *v = call.floats(2);
  const int32_t* layouts = call.integers(3);
  const Shape shape = shapeOf(call, 0);
  float* out = call.output(0, call.shape(0));
  float* logSumExp = call.output(1, {shape.batch, shape.heads, shape.time});
  if (!call.ok()) return;
  // Long texts of few heads are cut by queries as well.
  const int64_t few = 8 * tileRows;
  const int64_t perTask = shape.batch * shape.kvHeads >= 16 ? std::max<int64_t>(1, shape.time) : few;
  const int64_t cuts = (shape.time + perTask - 1) / perTask;
  forEachTask(shape.batch * shape.kvHeads * cuts, [&](int64_t task) {
    const int64_t b = task / (shape.kvHeads * cuts), kvHead = task / cuts % shape.kvHeads;
    const int64_t first = task % cuts * perTask, last = std::min(shape.time, first + perTask);
    const float* key = k + b * shape.keys * shape.kvWidth() + kvHead * shape.size;
    const float* value = v + b * shape.keys * shape.kvWidth() + kvHead * shape.size;
    const int32_t* layout = layouts + 3 * b;
    const bool single = (last - first) * shape.groups() < 6;
    const float* turned = single ? nullptr : transposed(transposedKeys, key, shape);
    for (int64_t h = kvHead * shape.groups(); h < (kvHead + 1) * shape.groups(); h++) {
      const int64_t head = b * shape.time * shape.width() + h * shape.size;
      float* sums = logSumExp + (b * shape.heads + h) * shape.time;
      if (single) {
        for (int64_t t = first; t < last; t++)
          attendOne(shape, layout, t, q + head + t * shape.width(), key, value, out + head + t * shape.width(), sums + t);
        continue;
      }
      for (int64_t t = first; t < last; t += tileRows) {
        Tile tile(shape, layout, t);
        tile.rows = std::min(tile.rows, last - t);
        float* p = room(scores, tileRows * std::max<int64_t>(1, tile.columns));
        tileProduct(tile, shape, q + head + t * shape.width(), turned, p);
        float* rows = out + head + t * shape.width();
        float inverse[tileRows];
        for (int64_t i = 0; i < tile.rows; i++) {
          const Range seen[2] = {tile.columnsOf(tile.seen[i][0]), tile.columnsOf(tile.seen[i][1])};
          sums[t + i] = softmaxRow(p + i * tile.columns, shape, seen, inverse[i]);
          hide(p + i * tile.columns, tile.columns, seen);
          std::fill_n(rows + i * shape.width(), shape.size, 0.0f);
        }
        for (int part = 0; part < 2; part++)
          if (const int64_t length = tile.stretches[part].length())
            addProduct(tile.rows, shape.size, length, p + tile.offset(part), tile.columns, 1,
                       value + tile.stretches[part].from * shape.kvWidth(), shape.kvWidth(), rows, shape.width());
        for (int64_t i = 0; i < tile.rows; i++)
          for (int64_t d = 0; d < shape.size; d++) rows[i * shape.width() + d] *= inverse[i];
      }
    }
  });
}

const Signature attentionGradSignature{
    "FdivAttentionGrad",
    {"dy: float", "q: float", "k: float", "v: float", "out: float", "log_sum_exp: float", "layout: int32"},
    {"dq: float", "dk: float", "dv: float"},
    {"heads: int", "kv_heads: int", "scale: float", "window: int"}};

void attentionGrad(Call& call) {
  const float *dy = call.floats(0), *q = call.floats(1), *k = call.floats(2), *v = call.floats(3);
  const float *out = call.floats(4), *logSumExp = call.floats(5);
  const int32_t* layouts = call.integers(6);
  const Shape shape = shapeOf(call, 1);
  float *dq = call.output(0, call.shape(1)), *dk = call.output(1, call.shape(2)), *dv = call.output(2, call.shape(3));
  if (!call.ok()) return;
  const int64_t width = shape.width(), kvWidth = shape.kvWidth(), size = shape.size;
  forEachTask(shape.batch * shape.kvHeads, [&](int64_t task) {
    const int64_t b = task / shape.kvHeads, kvHead = task % shape.kvHeads;
    const int64_t from = b * shape.keys * kvWidth + kvHead * size;
    const int32_t* layout = layouts + 3 * b;
    const float* keys = transposed(transposedKeys, k + from, shape);
    const float* values = transposed(transposedValues, v + from, shape);
    for (int64_t j = 0; j < shape.keys; j++) {
      std::fill_n(dk + from + j * kvWidth, size, 0.0f);
      std::fill_n(dv + from + j * kvWidth, size, 0.0f);
    }
    for (int64_t h = kvHead * shape.groups(); h < (kvHead + 1) * shape.groups(); h++) {
      const int64_t head = b * shape.time * width + h * size;
      for (int64_t t = 0; t < shape.time; t += tileRows) {
        const Tile tile(shape, layout, t);
        const int64_t at = head + t * width, columns = tile.columns;
        float* p = room(scores, tileRows * std::max<int64_t>(1, columns));
        float* ds = room(slopes, tileRows * std::max<int64_t>(1, columns));
        tileProduct(tile, shape, q + at, keys, p);
        tileProduct(tile, shape, dy + at, values, ds);
        for (int64_t i = 0; i < tile.rows; i++) {
          const Range seen[2] = {tile.columnsOf(tile.seen[i][0]), tile.columnsOf(tile.seen[i][1])};
          float *__restrict row = p + i * columns, *__restrict slope = ds + i * columns;
          const float *d = dy + at + i * width, *y = out + at + i * width;
          float delta = 0;
#pragma omp simd reduction(+ : delta)
          for (int64_t n = 0; n < size; n++) delta += d[n] * y[n];
          const float shift = logSumExp[(b * shape.heads + h) * shape.time + t + i], scale = shape.scale;
          for (const Range& range : seen)
#pragma omp simd
            for (int64_t j = range.from; j < range.to; j++) {
              row[j] = exponential(scale * row[j] - shift);
              slope[j] = scale * row[j] * (slope[j] - delta);
            }
          hide(row, columns, seen);
          hide(slope, columns, seen);
          std::fill_n(dq + at + i * width, size, 0.0f);
        }
        for (int part = 0; part < 2; part++) {
          const int64_t length = tile.stretches[part].length();
          if (length == 0) continue;
          const int64_t first = from + tile.stretches[part].from * kvWidth, column = tile.offset(part);
          addProduct(tile.rows, size, length, ds + column, columns, 1, k + first, kvWidth, dq + at, width);
          addProduct(length, size, tile.rows, ds + column, 1, columns, q + at, width, dk + first, kvWidth);
          addProduct(length, size, tile.rows, p + column, 1, columns, dy + at, width, dv + first, kvWidth);
        }
      }
    }
  });
}

}  // namespace

std::string registerAttentionOperations() {
  return Operation<attentionSignature, attention>::registered() +
         Operation<attentionGradSignature, attentionGrad>::registered();
}

}  // namespace fdiv_ops
