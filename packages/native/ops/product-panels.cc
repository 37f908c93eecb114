// Products of few rows with a weight that was packed beforehand: it is read as one stream, which is all that bounds them.
#include <algorithm>
#include <cstring>

#include "lanes.h"
#include "product-packing.h"
#include "product.h"
#include "threads.h"

namespace fdiv_ops {
namespace {

typedef typename VectorOf<widest>::Type Vector;

/** Most rows that meet a panel at a time: their sums and one vector of b are what the registers hold. */
constexpr int panelRows = widest == 16 ? 24 : 12;

/** So few sums that they would wait for each other take more panels at a time. */
template <int rows>
constexpr int panelsTogether = rows >= 8 ? 1 : rows >= 4 ? 2 : 4;

template <int rows, int panels>
inline void panelTile(int64_t n, int64_t k, const float* a, const float* b, int64_t columns, float* c) {
  Vector sum[rows][panels] = {};
  for (int64_t l = 0; l < k; l++) {
    Vector right[panels];
    for (int j = 0; j < panels; j++) right[j] = load<widest>(b + (j * k + l) * widest);
    for (int i = 0; i < rows; i++) {
      const float left = a[l * rows + i];
      for (int j = 0; j < panels; j++) sum[i][j] += left * right[j];
    }
  }
  if (columns == panels * widest) {
    for (int i = 0; i < rows; i++)
      for (int j = 0; j < panels; j++) store<widest>(c + i * n + j * widest, sum[i][j]);
    return;
  }
  for (int i = 0; i < rows; i++) std::memcpy(c + i * n, sum[i], sizeof(float) * static_cast<size_t>(columns));
}

template <int rows = panelRows>
void panelGroup(int64_t height, int64_t n, int64_t k, const float* a, const float* b, int64_t from, int64_t to, float* c) {
  if constexpr (rows > 1)
    if (height < rows) return panelGroup<rows - 1>(height, n, k, a, b, from, to, c);
  constexpr int together = panelsTogether<rows>;
  int64_t j = from;
  if constexpr (together > 1)
    for (; j + together * widest <= to; j += together * widest)
      panelTile<rows, together>(n, k, a, b + j * k, together * widest, c + j);
  for (; j < to; j += widest) panelTile<rows, 1>(n, k, a, b + j * k, std::min<int64_t>(widest, to - j), c + j);
}

}  // namespace

int64_t panelsOf(int64_t n) { return (n + widest - 1) / widest; }
int64_t panelWidth() { return widest; }

void packPanels(int64_t n, int64_t k, const Matrix& b, int64_t first, int64_t last, float* to) {
  const float* from = static_cast<const float*>(b.data);
  for (int64_t i = first; i < last; i++) {
    float* panel = to + i * widest * k;
    const int64_t columns = std::min<int64_t>(widest, n - i * widest);
    // What the last panel lacks is multiplied too, and must be finite.
    if (columns < widest) std::memset(panel, 0, sizeof(float) * static_cast<size_t>(widest * k));
    packPanel(from + i * widest * b.column, b.column, b.row, columns, k, panel, widest);
  }
}

void packForPanels(int64_t m, int64_t k, const float* a, float* packed) {
  const int64_t step = evenly(m, panelRows);
  for (int64_t r = 0; r < m; r += step) {
    const int64_t rows = std::min(step, m - r);
    packPanel(a + r * k, k, 1, rows, k, packed + r * k, rows);
  }
}

void panelsProduct(int64_t m, int64_t n, int64_t k, const float* packed, const float* panels, int64_t from, int64_t to, float* c) {
  const int64_t step = evenly(m, panelRows);
  // A panel meets all rows while it is in the cache.
  const int64_t stretch = m > step ? 4 * widest : to - from;
  for (int64_t j = from; j < to; j += stretch)
    for (int64_t r = 0; r < m; r += step)
      panelGroup(std::min(step, m - r), n, k, packed + r * k, panels, j, std::min(to, j + stretch), c + r * n);
}

}  // namespace fdiv_ops
