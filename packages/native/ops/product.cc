// A blocked product: b is packed once a block by all threads, a by the task that needs it, and a tile of c stays in registers.
#include "product.h"

#include <algorithm>
#include <memory>

#include "activation.h"
#include "lanes.h"
#include "product-packing.h"
#include "product-tile.h"
#include "threads.h"

namespace fdiv_ops {
namespace {

/** How far a tile sums before it goes on to the next: what a panel of b needs to stay in the second cache. */
constexpr int64_t deepest = 512;
/** Rows of a task, whole tiles. */
constexpr int64_t rowBlock = 8 * tileRows;
/** Numbers of b that are packed at a time. */
constexpr int64_t packedNumbers = 2 << 20;

/** Scratch memory that a thread keeps, grown to the largest product that it has seen. */
float* scratch(int which, int64_t size) {
  static thread_local std::unique_ptr<float[]> buffers[2];
  static thread_local int64_t sizes[2] = {0, 0};
  // A vector's width beyond, so that every panel can start where a cache line does.
  if (sizes[which] < size + 16) {
    buffers[which].reset(new float[static_cast<size_t>(size + 16)]);
    sizes[which] = size + 16;
  }
  const auto at = reinterpret_cast<uintptr_t>(buffers[which].get());
  return reinterpret_cast<float*>((at + 63) & ~uintptr_t{63});
}

/** Bias, activation and what is kept before it, of columns [from, to) of one row. */
void finishRow(const Finish& finish, float* row, float* kept, int64_t from, int64_t to) {
  if (finish.bias)
#pragma omp simd
    for (int64_t i = from; i < to; i++) row[i] += finish.bias[i];
  if (kept) std::memcpy(kept + from, row + from, sizeof(float) * static_cast<size_t>(to - from));
  if (finish.activation) activateInPlace(finish.activation, row + from, to - from);
}

void finishRows(const Finish& finish, int64_t n, float* c, int64_t top, int64_t bottom, int64_t from, int64_t to) {
  if (!finish.bias && !finish.activation && !finish.preactivation) return;
  for (int64_t r = top; r < bottom; r++)
    finishRow(finish, c + r * n, finish.preactivation ? finish.preactivation + r * n : nullptr, from, to);
}

void fewRowsOnThreads(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float* c, const Finish& finish) {
  float* packed = scratch(0, packedFewSize(m, k, b));
  packFew(m, k, a, b, packed);
  const int64_t span = std::max<int64_t>(4 * tileColumns, (n / 24 + tileColumns - 1) / tileColumns * tileColumns);
  forEachSpan(n, span, [&](int64_t from, int64_t to) {
    fewRowsProduct(m, n, k, packed, b, from, to, c);
    finishRows(finish, n, c, 0, m, from, to);
  });
}

/** One task: rows [top, bottom) of columns [from, to) of a packed block, whose first column is `first`. */
void computeBlock(const Matrix& a, int64_t top, int64_t bottom, int64_t start, int64_t depth, const float* packedB,
                  int64_t first, int64_t from, int64_t to, float* c, int64_t n, bool add) {
  float* packedA = scratch(1, rowBlock * depth);
  packLeft(a, top, bottom, start, depth, packedA);
  for (int64_t column = from; column < to; column += tileColumns) {
    const float* panel = packedB + (column - first) * depth;
    const int64_t columns = std::min<int64_t>(tileColumns, to - column);
    for (int64_t row = top; row < bottom; row += tileRows)
      computeTile(std::min<int64_t>(tileRows, bottom - row), columns, depth, packedA + (row - top) * depth, panel,
                  c + row * n + column, n, add);
  }
}

}  // namespace

void product(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float* c, const Finish& finish) {
  if (m <= 0 || n <= 0) return;
  if (m <= fewRows && !finish.accumulate) return fewRowsOnThreads(m, n, k, a, b, c, finish);
  const int64_t passes = std::max<int64_t>(1, (k + deepest - 1) / deepest), depth = (k + passes - 1) / passes;
  const int64_t block = std::max<int64_t>(tileColumns, packedNumbers / std::max<int64_t>(1, depth) / tileColumns * tileColumns);
  const int64_t rowTasks = (m + rowBlock - 1) / rowBlock;
  for (int64_t first = 0; first < n; first += block) {
    const int64_t last = std::min(n, first + block), panels = (last - first + tileColumns - 1) / tileColumns;
    // Enough tasks that no thread waits long for the last of another, but wide enough that packing rows is little beside.
    const int64_t wanted = std::max<int64_t>(1, (4 * threadCount() + rowTasks - 1) / rowTasks);
    const int64_t width = std::max<int64_t>(4, (panels + wanted - 1) / wanted) * tileColumns;
    const int64_t columnTasks = (last - first + width - 1) / width;
    for (int64_t pass = 0; pass < passes; pass++) {
      const int64_t start = pass * depth, deep = std::min(depth, k - start);
      float* packed = scratch(0, panels * tileColumns * std::max<int64_t>(1, deep));
      forEachTask(panels, [&](int64_t i) {
        packRight(b, start, deep, first + i * tileColumns, std::min<int64_t>(tileColumns, last - first - i * tileColumns),
                  packed + i * tileColumns * deep);
      });
      forEachTask(rowTasks * columnTasks, [&](int64_t task) {
        const int64_t top = task / columnTasks * rowBlock, bottom = std::min(m, top + rowBlock);
        const int64_t from = first + task % columnTasks * width, to = std::min(last, from + width);
        computeBlock(a, top, bottom, start, deep, packed, first, from, to, c, n, finish.accumulate || pass > 0);
        if (pass == passes - 1) finishRows(finish, n, c, top, bottom, from, to);
      });
    }
  }
}

}  // namespace fdiv_ops
