// The innermost parts of convolutions: as many pixels and columns as the registers hold.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "lanes.h"
#include "window.h"

namespace fdiv_ops {

/** Most pixels of a tile, and its columns: two vectors. */
constexpr int tilePixels = widest == 16 ? 14 : 6;
constexpr int64_t panel = 2 * widest;
typedef typename VectorOf<widest>::Type Vector;

/** Pixels `step` apart under all taps of a window: y [pixels, columns] = Σ x·w + bias, of one panel. */
template <int pixels, int vectors>
inline void convolveTile(const Window& g, const float* x, int64_t step, const float* w, const float* bias,
                         int64_t columns, float* y, int64_t yRow) {
  Vector sum[pixels][vectors] = {};
  const int64_t line = g.bandWidth() * g.channels;
  // Three neighbours a pointer: what an address can say without a register of its own.
  constexpr int pointers = (pixels + 2) / 3;
  for (int64_t ky = 0; ky < g.kernelHeight; ky++) {
    const float* at[pointers];
    for (int p = 0; p < pointers; p++) at[p] = x + ky * line + 3 * p * step;
    // A window's columns lie side by side, their channels with them.
    for (int64_t l = g.kernelWidth * g.channels; l > 0; l--) {
      Vector right[vectors];
      for (int j = 0; j < vectors; j++) right[j] = load<widest>(w + j * widest);
      for (int i = 0; i < pixels; i++) {
        const float left = at[i / 3][i % 3 * step];
        for (int j = 0; j < vectors; j++) sum[i][j] += left * right[j];
      }
      w += panel;
      for (int p = 0; p < pointers; p++) at[p]++;
    }
  }
  float shift[vectors * widest] = {};
  if (bias) std::copy_n(bias, columns, shift);
  for (int j = 0; j < vectors; j++) {
    const Vector add = load<widest>(shift + j * widest);
    const int64_t count = std::min<int64_t>(widest, columns - j * widest);
    for (int i = 0; i < pixels; i++) {
      const Vector value = sum[i][j] + add;
      float* to = y + i * yRow + j * widest;
      if (count == widest) store<widest>(to, value);
      else std::memcpy(to, &value, sizeof(float) * static_cast<size_t>(count));
    }
  }
}

template <int pixels = tilePixels>
void convolvePixels(int64_t count, const Window& g, const float* x, int64_t step, const float* w, const float* bias,
                    int64_t columns, float* y, int64_t yRow) {
  if constexpr (pixels > 1)
    if (count < pixels) return convolvePixels<pixels - 1>(count, g, x, step, w, bias, columns, y, yRow);
  if (columns <= widest) return convolveTile<pixels, 1>(g, x, step, w, bias, columns, y, yRow);
  convolveTile<pixels, 2>(g, x, step, w, bias, columns, y, yRow);
}

/** sum [rows, vectors] += Σ over pixels of a row of output a[pixel·aStep + i]·b[pixel·bStep + j]. */
template <int rows, int vectors>
struct OuterTile {
  Vector sum[rows][vectors] = {};
  void add(int64_t pixels, const float* a, int64_t aStep, const float* b, int64_t bStep) {
    for (int64_t p = 0; p < pixels; p++, a += aStep, b += bStep) {
      Vector right[vectors];
      for (int j = 0; j < vectors; j++) right[j] = load<widest>(b + j * widest);
      for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sum[i][j] += a[i] * right[j];
    }
  }
};

/** What a weight's gradient sums over: the pixels of bands of some images as they meet one tap. */
struct Meeting {
  const float *a, *b;
  int64_t images, rows, pixels, aImage, aRow, aStep, bRow, bStep;
};

/** to [height, vectors·widest] += Σ aᵀb over the bands. */
template <int vectors, int rows = tilePixels>
void addOuter(int64_t height, const Meeting& m, float* to, int64_t toRow) {
  if constexpr (rows > 1)
    if (height < rows) return addOuter<vectors, rows - 1>(height, m, to, toRow);
  OuterTile<rows, vectors> tile;
  for (int64_t i = 0; i < m.images; i++)
    for (int64_t r = 0; r < m.rows; r++)
      tile.add(m.pixels, m.a + i * m.aImage + r * m.aRow, m.aStep, m.b + (i * m.rows + r) * m.bRow, m.bStep);
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < vectors; j++) {
      float* at = to + i * toRow + j * widest;
      store<widest>(at, load<widest>(at) + tile.sum[i][j]);
    }
}

}  // namespace fdiv_ops
