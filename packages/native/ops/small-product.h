// A matrix product for the small operands of attention, which fit the caches and need no packing.
#pragma once
#include <cstdint>

#include "lanes.h"

namespace fdiv_ops {

/** c[rows, columns·lanes] += a·b, held in registers. */
template <int rows, int columns, int lanes>
inline void productTile(int64_t inner, const float* a, int64_t aRow, int64_t aColumn, const float* b, int64_t bRow,
                        float* c, int64_t cRow) {
  typename VectorOf<lanes>::Type sum[rows][columns], right[columns];
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++) sum[i][j] = load<lanes>(c + i * cRow + j * lanes);
  for (int64_t k = 0; k < inner; k++) {
    for (int j = 0; j < columns; j++) right[j] = load<lanes>(b + k * bRow + j * lanes);
    for (int i = 0; i < rows; i++) {
      const float left = a[i * aRow + k * aColumn];
      for (int j = 0; j < columns; j++) sum[i][j] += left * right[j];
    }
  }
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++) store<lanes>(c + i * cRow + j * lanes, sum[i][j]);
}

template <int rows>
inline void productRows(int64_t n, int64_t inner, const float* a, int64_t aRow, int64_t aColumn, const float* b,
                        int64_t bRow, float* c, int64_t cRow) {
  int64_t j = 0;
  for (; j + 2 * widest <= n; j += 2 * widest)
    productTile<rows, 2, widest>(inner, a, aRow, aColumn, b + j, bRow, c + j, cRow);
  for (; j + widest <= n; j += widest)
    productTile<rows, 1, widest>(inner, a, aRow, aColumn, b + j, bRow, c + j, cRow);
  if constexpr (widest > 8)
    for (; j + 8 <= n; j += 8) productTile<rows, 1, 8>(inner, a, aRow, aColumn, b + j, bRow, c + j, cRow);
  if constexpr (widest > 4)
    for (; j + 4 <= n; j += 4) productTile<rows, 1, 4>(inner, a, aRow, aColumn, b + j, bRow, c + j, cRow);
  for (int i = 0; i < rows && j < n; i++)
    for (int64_t column = j; column < n; column++) {
      float sum = c[i * cRow + column];
      for (int64_t k = 0; k < inner; k++) sum += a[i * aRow + k * aColumn] * b[k * bRow + column];
      c[i * cRow + column] = sum;
    }
}

/**
 * c [m, n] += a·b, where element (i, k) of a lies at a[i·aRow + k·aColumn] and the rows of b [inner, n] and c are contiguous.
 */
inline void addProduct(int64_t m, int64_t n, int64_t inner, const float* a, int64_t aRow, int64_t aColumn,
                       const float* b, int64_t bRow, float* c, int64_t cRow) {
  int64_t i = 0;
  // As many rows as there are registers for.
  if constexpr (widest == 16)
    for (; i + 8 <= m; i += 8) productRows<8>(n, inner, a + i * aRow, aRow, aColumn, b, bRow, c + i * cRow, cRow);
  for (; i + 6 <= m; i += 6) productRows<6>(n, inner, a + i * aRow, aRow, aColumn, b, bRow, c + i * cRow, cRow);
  for (; i + 4 <= m; i += 4) productRows<4>(n, inner, a + i * aRow, aRow, aColumn, b, bRow, c + i * cRow, cRow);
  for (; i + 2 <= m; i += 2) productRows<2>(n, inner, a + i * aRow, aRow, aColumn, b, bRow, c + i * cRow, cRow);
  for (; i < m; i++) productRows<1>(n, inner, a + i * aRow, aRow, aColumn, b, bRow, c + i * cRow, cRow);
}

}  // namespace fdiv_ops
