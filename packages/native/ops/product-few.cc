// Products of few rows, as of decoding: b is read once, where it lies, and what is packed is a.
#include <algorithm>
#include <cstring>

#include "lanes.h"
#include "product-packing.h"
#include "product-tile.h"
#include "product.h"
#include "threads.h"

namespace fdiv_ops {
namespace {

/** Below, a vector of rows would be mostly empty. */
constexpr int64_t fewestLanes = widest / 2;

/** Most rows of a tile whose b is not packed. As many as there may be, so that each of its far apart rows is read once. */
constexpr int64_t directRows = widest == 16 ? 16 : 6;
/** Most rows of a tile that is two vectors wide. */
constexpr int pairedRows = widest == 16 ? 12 : 6;
/** How many rows of b ahead a line is asked for. */
constexpr int rowsAhead = 12;

enum class Way { direct, lanes, dots };
Way wayOf(int64_t m, const Matrix& b) {
  if (b.column == 1) return Way::direct;
  return m >= fewestLanes ? Way::lanes : Way::dots;
}

constexpr int64_t mostVectors = 3;
/** How many vectors of rows a group of the lanes' way has. */
int64_t vectorsOf(int64_t m) { return evenly((m + widest - 1) / widest, mostVectors); }

// b [k, n], its rows contiguous: tiles as of a packed product.

/** Rows of b that all columns of a task pass before the next ones: what lies side by side in memory is read at about one time. */
constexpr int64_t directDepth = 64;

template <int rows, typename Number>
void directColumns(int64_t n, int64_t k, const float* a, const Number* b, int64_t bRow, int64_t from, int64_t to, float* c) {
  const int64_t whole = from + (to - from) / widest * widest;
  for (int64_t l = 0; l < k; l += directDepth) {
    const int64_t depth = std::min(directDepth, k - l);
    const float* left = a + l * rows;
    const Number* right = b + l * bRow;
    int64_t j = from;
    if constexpr (rows <= pairedRows)
      for (; j + tileColumns <= to; j += tileColumns)
        tile<rows, 2, true, rowsAhead>(depth, left, right + j, bRow, tileColumns, c + j, n, l > 0);
    for (; j < whole; j += widest) tile<rows, 1, true, rowsAhead>(depth, left, right + j, bRow, widest, c + j, n, l > 0);
  }
  for (int64_t j = whole; j < to; j++)
    for (int i = 0; i < rows; i++) {
      float sum = 0;
      for (int64_t l = 0; l < k; l++) sum += a[l * rows + i] * widened(b[l * bRow + j]);
      c[i * n + j] = sum;
    }
}

template <int rows = directRows, typename Number>
void directPanel(int64_t height, int64_t n, int64_t k, const float* a, const Number* b, int64_t bRow, int64_t from,
                 int64_t to, float* c) {
  if constexpr (rows > 1)
    if (height < rows) return directPanel<rows - 1>(height, n, k, a, b, bRow, from, to, c);
  directColumns<rows>(n, k, a, b, bRow, from, to, c);
}

template <typename Number>
void direct(int64_t m, int64_t n, int64_t k, const float* packed, const Number* b, int64_t bRow, int64_t from, int64_t to,
            float* c) {
  const int64_t rows = evenly(m, directRows);
  for (int64_t r = 0; r < m; r += rows)
    directPanel(std::min(rows, m - r), n, k, packed + r * k, b, bRow, from, to, c + r * n);
}

// b [n, k], as a weight [out, in]: each of its numbers meets a vector of rows, so that nothing is summed across lanes.

typedef typename VectorOf<widest>::Type Vector;

template <int vectors, int columns>
inline void lanesSums(int64_t k, const float* a, const float* b, int64_t bColumn, Vector (&sum)[columns][vectors]) {
  for (int64_t l = 0; l < k; l++) {
    Vector left[vectors];
    for (int v = 0; v < vectors; v++) left[v] = load<widest>(a + (l * vectors + v) * widest);
    for (int j = 0; j < columns; j++) {
      const float right = b[j * bColumn + l];
      for (int v = 0; v < vectors; v++) sum[j][v] += left[v] * right;
    }
  }
}

/** Two numbers at a time: one word holds both. */
template <int vectors, int columns>
inline void lanesSums(int64_t k, const float* a, const Half* b, int64_t bColumn, Vector (&sum)[columns][vectors]) {
  int64_t l = 0;
  for (; l + 2 <= k; l += 2) {
    Vector first[vectors], second[vectors];
    for (int v = 0; v < vectors; v++) {
      first[v] = load<widest>(a + (l * vectors + v) * widest);
      second[v] = load<widest>(a + ((l + 1) * vectors + v) * widest);
    }
    for (int j = 0; j < columns; j++) {
      const float right = widened(b[j * bColumn + l]), next = widened(b[j * bColumn + l + 1]);
      for (int v = 0; v < vectors; v++) {
        sum[j][v] += first[v] * right;
        sum[j][v] += second[v] * next;
      }
    }
  }
  for (; l < k; l++)
    for (int j = 0; j < columns; j++)
      for (int v = 0; v < vectors; v++)
        sum[j][v] += load<widest>(a + (l * vectors + v) * widest) * widened(b[j * bColumn + l]);
}

template <int vectors, int columns, typename Number>
inline void lanesTile(int64_t rows, int64_t n, int64_t k, const float* a, const Number* b, float* c) {
  Vector sum[columns][vectors] = {};
  lanesSums<vectors, columns>(k, a, b, k, sum);
  float column[vectors * widest];
  for (int j = 0; j < columns; j++) {
    for (int v = 0; v < vectors; v++) store<widest>(column + v * widest, sum[j][v]);
    for (int64_t r = 0; r < rows; r++) c[r * n + j] = column[r];
  }
}

template <int vectors, typename Number>
void lanesColumns(int64_t rows, int64_t n, int64_t k, const float* a, const Number* b, int64_t from, int64_t to, float* c) {
  constexpr int columns = vectors == 1 ? 12 : vectors == 2 ? 8 : 6;
  constexpr int fit = widest == 16 ? columns : columns / 2;
  int64_t j = from;
  for (; j + fit <= to; j += fit) lanesTile<vectors, fit>(rows, n, k, a, b + j * k, c + j);
  for (; j < to; j++) lanesTile<vectors, 1>(rows, n, k, a, b + j * k, c + j);
}

template <typename Number>
void lanes(int64_t m, int64_t n, int64_t k, const float* packed, const Number* b, int64_t from, int64_t to, float* c) {
  const int64_t vectors = vectorsOf(m), step = vectors * widest;
  for (int64_t r = 0; r < m; r += step) {
    const int64_t rows = std::min(step, m - r);
    const float* a = packed + r * k;
    if (vectors == 1) lanesColumns<1>(rows, n, k, a, b, from, to, c + r * n);
    else if (vectors == 2) lanesColumns<2>(rows, n, k, a, b, from, to, c + r * n);
    else lanesColumns<3>(rows, n, k, a, b, from, to, c + r * n);
  }
}

// The same b, and so few rows that memory is what bounds the product: dot products, a vector of numbers at a time.

template <int rows, int columns, typename Number>
inline void dotTile(int64_t n, int64_t k, const float* a, const Number* b, float* c) {
  Vector sum[rows][columns] = {};
  int64_t l = 0;
  for (; l + widest <= k; l += widest) {
    Vector left[rows];
    for (int i = 0; i < rows; i++) left[i] = load<widest>(a + i * k + l);
    for (int j = 0; j < columns; j++) {
      const Vector right = load<widest>(b + j * k + l);
      for (int i = 0; i < rows; i++) sum[i][j] += left[i] * right;
    }
  }
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++) {
      float total = 0;
      for (int lane = 0; lane < widest; lane++) total += sum[i][j][lane];
      for (int64_t rest = l; rest < k; rest++) total += a[i * k + rest] * widened(b[j * k + rest]);
      c[i * n + j] = total;
    }
}

template <int rows, typename Number>
void dotColumns(int64_t n, int64_t k, const float* a, const Number* b, int64_t from, int64_t to, float* c) {
  constexpr int columns = rows > 4 ? 2 : 4;
  int64_t j = from;
  for (; j + columns <= to; j += columns) dotTile<rows, columns>(n, k, a, b + j * k, c + j);
  for (; j < to; j++) dotTile<rows, 1>(n, k, a, b + j * k, c + j);
}

template <typename Number>
void dots(int64_t m, int64_t n, int64_t k, const float* a, const Number* b, int64_t from, int64_t to, float* c) {
  int64_t r = 0;
  if constexpr (widest == 16)
    for (; r + 6 <= m; r += 6) dotColumns<6>(n, k, a + r * k, b, from, to, c + r * n);
  for (; r + 3 <= m; r += 3) dotColumns<3>(n, k, a + r * k, b, from, to, c + r * n);
  for (; r + 2 <= m; r += 2) dotColumns<2>(n, k, a + r * k, b, from, to, c + r * n);
  for (; r < m; r++) dotColumns<1>(n, k, a + r * k, b, from, to, c + r * n);
}

template <typename Number>
void anyWay(int64_t m, int64_t n, int64_t k, const float* packed, const Matrix& b, int64_t from, int64_t to, float* c) {
  const Number* data = static_cast<const Number*>(b.data);
  switch (wayOf(m, b)) {
    case Way::direct: return direct(m, n, k, packed, data, b.row, from, to, c);
    case Way::lanes: return lanes(m, n, k, packed, data, from, to, c);
    case Way::dots: return dots(m, n, k, packed, data, from, to, c);
  }
}

}  // namespace

int64_t packedFewSize(int64_t m, int64_t k, const Matrix& b) {
  if (wayOf(m, b) != Way::lanes) return m * k;
  const int64_t step = vectorsOf(m) * widest;
  return (m + step - 1) / step * step * k;
}

void packFew(int64_t m, int64_t k, const Matrix& a, const Matrix& b, float* packed) {
  const float* from = static_cast<const float*>(a.data);
  const Way way = wayOf(m, b);
  if (way == Way::dots) {
    for (int64_t r = 0; r < m; r++) packPanel(from + r * a.row, a.column, a.row, k, 1, packed + r * k, k);
    return;
  }
  const int64_t step = way == Way::direct ? evenly(m, directRows) : vectorsOf(m) * widest;
  for (int64_t r = 0; r < m; r += step) {
    const int64_t rows = std::min(step, m - r), pitch = way == Way::direct ? rows : step;
    // Lanes without a row are computed too, and must be finite.
    if (rows < pitch) std::memset(packed + r * k, 0, sizeof(float) * static_cast<size_t>(pitch * k));
    packPanel(from + r * a.row, a.row, a.column, rows, k, packed + r * k, pitch);
  }
}

void fewRowsProduct(int64_t m, int64_t n, int64_t k, const float* packed, const Matrix& b, int64_t from, int64_t to, float* c) {
  if (b.half) return anyWay<Half>(m, n, k, packed, b, from, to, c);
  anyWay<float>(m, n, k, packed, b, from, to, c);
}

}  // namespace fdiv_ops
