// Distances of every row to every row, and softmax, over wide rows: cut over columns so that few rows still fill all threads.
#include <algorithm>
#include <cmath>

#include "lanes.h"
#include "tensorflow-op.h"
#include "threads.h"
#include "vector-math.h"

namespace fdiv_ops {
namespace {

typedef typename VectorOf<widest>::Type Vector;

/** Columns of a task, whatever the threads: so the sums are the same for any number. */
constexpr int64_t columnsPerTask = 4096;
/** Columns at a time, so that the rows at hand stay in the first cache. */
constexpr int64_t tile = 256;

inline float distance(const float* __restrict x, const float* __restrict y, int64_t size, bool squared) {
  float sum = 0;
  if (squared) {
#pragma omp simd reduction(+ : sum)
    for (int64_t v = 0; v < size; v++) sum += (x[v] - y[v]) * (x[v] - y[v]);
  } else {
#pragma omp simd reduction(+ : sum)
    for (int64_t v = 0; v < size; v++) sum += std::fabs(x[v] - y[v]);
  }
  return sum;
}

/** Four rows against one, which is read once. */
inline void fourDistances(const float* __restrict x, int64_t stride, const float* __restrict y, int64_t size,
                          bool squared, float* out, int64_t step) {
  const float *__restrict x1 = x + stride, *__restrict x2 = x1 + stride, *__restrict x3 = x2 + stride;
  float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  if (squared) {
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int64_t v = 0; v < size; v++) {
      s0 += (x[v] - y[v]) * (x[v] - y[v]);
      s1 += (x1[v] - y[v]) * (x1[v] - y[v]);
      s2 += (x2[v] - y[v]) * (x2[v] - y[v]);
      s3 += (x3[v] - y[v]) * (x3[v] - y[v]);
    }
  } else {
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int64_t v = 0; v < size; v++) {
      s0 += std::fabs(x[v] - y[v]);
      s1 += std::fabs(x1[v] - y[v]);
      s2 += std::fabs(x2[v] - y[v]);
      s3 += std::fabs(x3[v] - y[v]);
    }
  }
  out[0] += s0;
  out[step] += s1;
  out[2 * step] += s2;
  out[3 * step] += s3;
}

const Signature pairwiseDistanceSignature{
    "FdivPairwiseDistance", {"x: float", "y: float"}, {"distances: float"}, {"squared: bool"}};
void pairwiseDistance(Call& call) {
  const float *x = call.floats(0), *y = call.floats(1);
  const int64_t batch = call.dim(0, 0), n = call.dim(0, 1), m = call.dim(1, 1), size = call.dim(0, 2);
  const bool squared = call.attributes.flag(0);
  float* out = call.output(0, {batch, n, m});
  if (!call.ok()) return;
  const int64_t parts = std::max<int64_t>(1, (size + columnsPerTask - 1) / columnsPerTask);
  std::vector<float> partial(static_cast<size_t>(batch * parts * n * m), 0.0f);
  forEachTask(batch * parts, [&](int64_t task) {
    const int64_t which = task / parts, from = task % parts * columnsPerTask;
    const int64_t to = std::min(size, from + columnsPerTask);
    float* sums = partial.data() + task * n * m;
    for (int64_t v = from; v < to; v += tile) {
      const int64_t width = std::min(tile, to - v);
      for (int64_t j = 0; j < m; j++) {
        const float* other = y + (which * m + j) * size + v;
        int64_t i = 0;
        for (; i + 4 <= n; i += 4)
          fourDistances(x + (which * n + i) * size + v, size, other, width, squared, sums + i * m + j, m);
        for (; i < n; i++) sums[i * m + j] += distance(x + (which * n + i) * size + v, other, width, squared);
      }
    }
  });
  for (int64_t which = 0; which < batch; which++) {
    float* sums = out + which * n * m;
    std::fill_n(sums, n * m, 0.0f);
    for (int64_t part = 0; part < parts; part++) {
      const float* own = partial.data() + (which * parts + part) * n * m;
      for (int64_t k = 0; k < n * m; k++) sums[k] += own[k];
    }
  }
}

/** So many rows of x meet a vector of y together. */
constexpr int rowsOfSigns = 4;

/** The first `count` numbers of a vector, zeros after them. */
inline Vector loadSome(const float* from, int64_t count) {
  if (count == widest) return load<widest>(from);
  Vector vector = {};
  std::memcpy(&vector, from, sizeof(float) * static_cast<size_t>(count));
  return vector;
}

/** Where the weight of row i of x and row j of y lies: at data[i·row + j·column]. */
struct Weights {
  const float* data;
  int64_t row, column;
};

/** out [rows, count] = Σ_j weight_ij·sign(x_i − y_j) of `count` ≤ widest columns; sums stay in registers. */
template <int rows>
inline void signSums(const float* x, const float* y, int64_t size, int64_t m, const Weights& weights, int64_t count, float* out) {
  Vector own[rows], sum[rows] = {};
  for (int i = 0; i < rows; i++) own[i] = loadSome(x + i * size, count);
  for (int64_t j = 0; j < m; j++) {
    const Vector other = loadSome(y + j * size, count), nothing = {};
    const float* weight = weights.data + j * weights.column;
    for (int i = 0; i < rows; i++) {
      const Vector spread = nothing + weight[i * weights.row];
      sum[i] += own[i] > other ? spread : nothing;
      sum[i] -= own[i] < other ? spread : nothing;
    }
  }
  for (int i = 0; i < rows; i++) std::memcpy(out + i * size, &sum[i], sizeof(float) * static_cast<size_t>(count));
}

const Signature pairwiseL1GradSignature{
    "FdivPairwiseL1Grad", {"d: float", "x: float", "y: float"}, {"dx: float"}, {"transposed: bool"}};
void pairwiseL1Grad(Call& call) {
  const float *d = call.floats(0), *x = call.floats(1), *y = call.floats(2);
  const int64_t batch = call.dim(1, 0), n = call.dim(1, 1), m = call.dim(2, 1), size = call.dim(1, 2);
  const bool transposed = call.attributes.flag(0);
  float* dx = call.output(0, {batch, n, size});
  if (!call.ok()) return;
  const int64_t parts = std::max<int64_t>(1, (size + columnsPerTask - 1) / columnsPerTask);
  forEachTask(batch * parts, [&](int64_t task) {
    const int64_t which = task / parts, from = task % parts * columnsPerTask;
    const int64_t to = std::min(size, from + columnsPerTask);
    for (int64_t v = from; v < to; v += tile) {
      const int64_t end = std::min(to, v + tile);
      for (int64_t i = 0; i < n; i += rowsOfSigns) {
        const int64_t rows = std::min<int64_t>(rowsOfSigns, n - i);
        for (int64_t k = v; k < end; k += widest) {
          const int64_t count = std::min<int64_t>(widest, end - k);
          const float* others = y + which * m * size + k;
          const auto at = [&](int64_t row) { return (which * n + row) * size + k; };
          const auto weightsOf = [&](int64_t row) {
            return Weights{d + which * n * m + row * (transposed ? 1 : m), transposed ? 1 : m, transposed ? n : 1};
          };
          if (rows == rowsOfSigns)
            signSums<rowsOfSigns>(x + at(i), others, size, m, weightsOf(i), count, dx + at(i));
          else
            for (int64_t r = i; r < i + rows; r++) signSums<1>(x + at(r), others, size, m, weightsOf(r), count, dx + at(r));
        }
      }
    }
  });
}

/** A row's softmax. */
inline void softmaxRow(const float* __restrict x, int64_t n, float* __restrict y) {
  float top = -INFINITY;
#pragma omp simd reduction(max : top)
  for (int64_t i = 0; i < n; i++) top = x[i] > top ? x[i] : top;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) {
    const float e = exponential(x[i] - top);
    y[i] = e;
    sum += e;
  }
  const float factor = 1 / sum;
#pragma omp simd
  for (int64_t i = 0; i < n; i++) y[i] *= factor;
}

const Signature softmaxSignature{"FdivSoftmax", {"x: float"}, {"y: float"}, {}};
void softmax(Call& call) {
  const float* x = call.floats(0);
  const int64_t m = call.dim(0, 0), n = call.dim(0, 1);
  float* y = call.output(0, {m, n});
  if (!call.ok()) return;
  forEachTask(m, [&](int64_t r) { softmaxRow(x + r * n, n, y + r * n); });
}

const Signature softmaxGradSignature{"FdivSoftmaxGrad", {"dy: float", "y: float"}, {"dx: float"}, {}};
void softmaxGrad(Call& call) {
  const float *dy = call.floats(0), *y = call.floats(1);
  const int64_t m = call.dim(0, 0), n = call.dim(0, 1);
  float* dx = call.output(0, {m, n});
  if (!call.ok()) return;
  forEachTask(m, [&](int64_t r) {
    const float *__restrict d = dy + r * n, *__restrict p = y + r * n;
    float* __restrict out = dx + r * n;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += d[i] * p[i];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) out[i] = p[i] * (d[i] - sum);
  });
}

}  // namespace

std::string registerPairwiseOperations() {
  return Operation<pairwiseDistanceSignature, pairwiseDistance>::registered() +
         Operation<pairwiseL1GradSignature, pairwiseL1Grad>::registered() +
         Operation<softmaxSignature, softmax>::registered() + Operation<softmaxGradSignature, softmaxGrad>::registered();
}

}  // namespace fdiv_ops
