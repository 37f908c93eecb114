// The innermost part of a product: as many sums as the registers hold.
#pragma once
#include <cstdint>

#include "lanes.h"

namespace fdiv_ops {

constexpr int tileRows = widest == 16 ? 14 : 6;
constexpr int tileColumns = 2 * widest;

/**
 * c [rows, columns] (+)= a·b of a panel of a, element (i, k) at rows·k + i, and rows of b `bRow` apart; so far apart that no
 * prefetcher follows where `ahead`, how many rows early one is asked for, is not 0.
 */
template <int rows, int vectors, bool whole, int ahead = 0, typename Number>
inline void tile(int64_t depth, const float* a, const Number* b, int64_t bRow, int64_t columns, float* c, int64_t cRow,
                 bool add) {
  typedef typename VectorOf<widest>::Type Vector;
  Vector sum[rows][vectors] = {};
  for (int64_t k = 0; k < depth; k++) {
    Vector right[vectors];
    for (int j = 0; j < vectors; j++) {
      if (ahead > 0) __builtin_prefetch(b + ahead * bRow + j * widest);
      right[j] = load<widest>(b + j * widest);
    }
    for (int i = 0; i < rows; i++) {
      const float left = a[i];
      for (int j = 0; j < vectors; j++) sum[i][j] += left * right[j];
    }
    a += rows;
    b += bRow;
  }
  if (whole) {
    for (int i = 0; i < rows; i++)
      for (int j = 0; j < vectors; j++) {
        float* to = c + i * cRow + j * widest;
        store<widest>(to, add ? load<widest>(to) + sum[i][j] : sum[i][j]);
      }
    return;
  }
  float row[vectors * widest];
  for (int i = 0; i < rows; i++) {
    for (int j = 0; j < vectors; j++) store<widest>(row + j * widest, sum[i][j]);
    for (int64_t j = 0; j < columns; j++) c[i * cRow + j] = add ? c[i * cRow + j] + row[j] : row[j];
  }
}

/** A tile of at most tileRows × tileColumns from packed panels; the panel of a has as many rows as the tile. */
template <int rows = tileRows>
inline void computeTile(int64_t height, int64_t columns, int64_t depth, const float* a, const float* b, float* c,
                        int64_t cRow, bool add) {
  if constexpr (rows > 1)
    if (height < rows) return computeTile<rows - 1>(height, columns, depth, a, b, c, cRow, add);
  if (columns == tileColumns) return tile<rows, 2, true>(depth, a, b, tileColumns, columns, c, cRow, add);
  tile<rows, 2, false>(depth, a, b, tileColumns, columns, c, cRow, add);
}

}  // namespace fdiv_ops
