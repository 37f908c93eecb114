// Copies of a product's operands in the order in which tiles read them, which absorbs transposes and bfloat16.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "lanes.h"
#include "product-tile.h"
#include "product.h"

namespace fdiv_ops {

/** to[i + j·step] = from[j + i·row] for four i and four j. */
template <typename Number>
inline void transpose4(const Number* from, int64_t row, float* to, int64_t step) {
  typedef typename VectorOf<4>::Type Vector;
  typedef int32_t Order __attribute__((vector_size(16)));
  const Vector a = load<4>(from), b = load<4>(from + row), c = load<4>(from + 2 * row), d = load<4>(from + 3 * row);
#if defined(__clang__)
#define FDIV_SHUFFLE(x, y, p, q, r, s) __builtin_shufflevector(x, y, p, q, r, s)
#else
#define FDIV_SHUFFLE(x, y, p, q, r, s) __builtin_shuffle(x, y, Order{p, q, r, s})
#endif
  const Vector ab = FDIV_SHUFFLE(a, b, 0, 4, 1, 5), cd = FDIV_SHUFFLE(c, d, 0, 4, 1, 5);
  const Vector ab2 = FDIV_SHUFFLE(a, b, 2, 6, 3, 7), cd2 = FDIV_SHUFFLE(c, d, 2, 6, 3, 7);
  store<4>(to, FDIV_SHUFFLE(ab, cd, 0, 1, 4, 5));
  store<4>(to + step, FDIV_SHUFFLE(ab, cd, 2, 3, 6, 7));
  store<4>(to + 2 * step, FDIV_SHUFFLE(ab2, cd2, 0, 1, 4, 5));
  store<4>(to + 3 * step, FDIV_SHUFFLE(ab2, cd2, 2, 3, 6, 7));
#undef FDIV_SHUFFLE
}

/** to[k·step + i] = from[i·row + k·column] for `count` i and `depth` k. */
template <typename Number>
inline void packPanel(const Number* from, int64_t row, int64_t column, int64_t count, int64_t depth, float* to, int64_t step) {
  if (row == 1) {
    for (int64_t k = 0; k < depth; k++) {
      const Number* line = from + k * column;
      float* out = to + k * step;
      for (int64_t i = 0; i < count; i++) out[i] = widened(line[i]);
    }
    return;
  }
  int64_t i = 0;
  if (column == 1)
    for (; i + 4 <= count; i += 4) {
      int64_t k = 0;
      for (; k + 4 <= depth; k += 4) transpose4(from + i * row + k, row, to + k * step + i, step);
      for (; k < depth; k++)
        for (int64_t j = 0; j < 4; j++) to[k * step + i + j] = widened(from[(i + j) * row + k]);
    }
  for (; i < count; i++)
    for (int64_t k = 0; k < depth; k++) to[k * step + i] = widened(from[i * row + k * column]);
}

/** Panels of tileRows rows of a, a last short one of as many as are left: element (i, k) at rows·k + i. */
inline void packLeft(const Matrix& a, int64_t top, int64_t bottom, int64_t start, int64_t depth, float* to) {
  const float* from = static_cast<const float*>(a.data) + start * a.column;
  for (int64_t row = top; row < bottom; row += tileRows) {
    const int64_t count = std::min<int64_t>(tileRows, bottom - row);
    packPanel(from + row * a.row, a.row, a.column, count, depth, to + (row - top) * depth, count);
  }
}

template <typename Number>
inline void packColumns(const Number* from, const Matrix& b, int64_t depth, int64_t columns, float* to) {
  // What a short panel lacks is multiplied too, and must be finite; its products are thrown away.
  if (columns < tileColumns) std::memset(to, 0, sizeof(float) * static_cast<size_t>(depth * tileColumns));
  packPanel(from, b.column, b.row, columns, depth, to, tileColumns);
}

/** A panel of tileColumns columns of b: element (k, j) at tileColumns·k + j. */
inline void packRight(const Matrix& b, int64_t start, int64_t depth, int64_t column, int64_t columns, float* to) {
  const int64_t at = start * b.row + column * b.column;
  if (b.half) return packColumns(static_cast<const Half*>(b.data) + at, b, depth, columns, to);
  packColumns(static_cast<const float*>(b.data) + at, b, depth, columns, to);
}

}  // namespace fdiv_ops
