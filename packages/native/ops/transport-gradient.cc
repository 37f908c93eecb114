// The gradient of Sinkhorn's iterations, backwards through each, one problem a task.
#include <algorithm>

#include "tensorflow-op.h"
#include "threads.h"
#include "transport-kernel.h"

namespace fdiv_ops {
namespace {

const Signature sinkhornGradSignature{
    "FdivSinkhornGrad",
    {"cost: float", "a: float", "b: float", "f_start: float", "g_start: float", "f_history: float", "g_history: float",
     "steps: int32", "df: float", "dg: float"},
    {"dcost: float", "da: float", "db: float", "df_start: float", "dg_start: float"},
    {"lambda: float", "row_damping: float", "column_damping: float", "relaxation: float"}};

/** The half-step before relaxation and damping, told from the potentials around it. */
inline float undone(float now, float before, float relaxation, float damping) {
  if (relaxation == 1) return now / damping;
  return std::fabs(now) < INFINITY ? (now - (1 - relaxation) * before) / (relaxation * damping) : now;
}

/** Rows and columns of a tile whose sums stay in registers. */
constexpr int64_t tileRows = 4, tileColumns = 32;

/** Σ_k left_k,i·right_k,j of a tile; `rows` and `columns` are those that are there. */
template <bool isWhole>
inline void rankTile(const float* left, const float* right, int64_t ranks, int64_t n, int64_t m, int64_t rows,
                     int64_t columns, float (*sum)[tileColumns]) {
  for (int64_t k = 0; k < ranks; k++) {
    const float* __restrict other = right + k * m;
    for (int64_t r = 0; r < (isWhole ? tileRows : rows); r++) {
      const float factor = left[k * n + r];
#pragma omp simd
      for (int64_t j = 0; j < (isWhole ? tileColumns : columns); j++) sum[r][j] += factor * other[j];
    }
  }
}

/** dcost_ij += kernel_ij·Σ_k left_ki·right_kj, of `ranks` pairs of scalings. */
void addRanks(float* dcost, const float* kernel, const std::vector<float>& left, const std::vector<float>& right,
              int64_t ranks, int64_t n, int64_t m) {
  for (int64_t i = 0; i < n; i += tileRows)
    for (int64_t j = 0; j < m; j += tileColumns) {
      const int64_t rows = std::min(tileRows, n - i), columns = std::min(tileColumns, m - j);
      float sum[tileRows][tileColumns] = {};
      if (rows == tileRows && columns == tileColumns)
        rankTile<true>(left.data() + i, right.data() + j, ranks, n, m, rows, columns, sum);
      else
        rankTile<false>(left.data() + i, right.data() + j, ranks, n, m, rows, columns, sum);
      for (int64_t r = 0; r < rows; r++) {
        float* out = dcost + (i + r) * m + j;
        const float* own = kernel + (i + r) * m + j;
        for (int64_t c = 0; c < columns; c++) out[c] += own[c] * sum[r][c];
      }
    }
}

void sinkhornGrad(Call& call) {
  const auto& at = call.attributes;
  const TransportSettings s{call.dim(0, 1), call.dim(0, 2), at.real(0), at.real(1), at.real(2), at.real(3)};
  const int64_t batch = call.dim(0, 0), iterations = call.dim(5, 1), n = s.n, m = s.m;
  const float scale = 1 / s.lambda;
  float *dcosts = call.output(0, {batch, n, m}), *das = call.output(1, {batch, n}), *dbs = call.output(2, {batch, m});
  float *dfs = call.output(3, {batch, n}), *dgs = call.output(4, {batch, m});
  if (!call.ok()) return;
  forEachTask(batch, [&](int64_t which) {
    const float *cost = call.floats(0) + which * n * m, *a = call.floats(1) + which * n, *b = call.floats(2) + which * m;
    const float *fStart = call.floats(3) + which * n, *fHistory = call.floats(5) + which * iterations * n;
    const float* gHistory = call.floats(6) + which * iterations * m;
    const int64_t steps = std::min<int64_t>(call.integers(7)[which], iterations);
    float *dcost = dcosts + which * n * m, *da = das + which * n, *db = dbs + which * m;
    float *df = dfs + which * n, *dg = dgs + which * m;
    std::fill_n(dcost, n * m, 0.0f);
    std::fill_n(da, n, 0.0f);
    std::fill_n(db, m, 0.0f);
    std::copy_n(call.floats(8) + which * n, n, df);
    std::copy_n(call.floats(9) + which * m, m, dg);
    if (steps == 0) return;
    std::vector<float> gStart(m), kernel(n * m), left, right, fHalf(n), gHalf(m), u(n), v(m), w(m), e(m), h(n), sums(m),
        line(m);
    // A point that no iteration has left out has a start of its own; what lies at −∞ takes no part.
    for (int64_t j = 0; j < m; j++) gStart[j] = b[j] > 0 ? call.floats(4)[which * m + j] : -INFINITY;
    const float *fAt = fHistory + (steps - 1) * n, *gAt = gHistory + (steps - 1) * m;
    for (int64_t i = 0; i < n; i++) planRow(cost + i * m, fAt[i], gAt, scale, m, kernel.data() + i * m);
    left.reserve(2 * steps * n);
    right.reserve(2 * steps * m);
    int64_t ranks = 0;
    for (int64_t step = steps - 1; step >= 0; step--) {
      const float *f = fHistory + step * n, *g = gHistory + step * m;
      const float* fBefore = step > 0 ? f - n : fStart;
      const float* gBefore = step > 0 ? g - m : gStart.data();
      for (int64_t i = 0; i < n; i++) fHalf[i] = undone(f[i], fBefore[i], s.relaxation, s.rowDamping);
      for (int64_t j = 0; j < m; j++) {
        gHalf[j] = undone(g[j], gBefore[j], s.relaxation, s.columnDamping);
        e[j] = b[j] > 0 ? s.relaxation * s.columnDamping * dg[j] / b[j] : 0;
        db[j] += s.lambda * e[j];
        sums[j] = 0;
      }
      const bool byProducts = isNear(f, fAt, scale, n) && isNear(fHalf.data(), fAt, scale, n) &&
                              isNear(gHalf.data(), gAt, scale, m) && isNear(gBefore, gAt, scale, m);
      if (byProducts) {
        // columns_ij = K_ij·u_i·(v_j·e_j), rows_ij = K_ij·(x_i·h_i)·w_j; their sum over steps is one product of ranks.
        scalings(f, fAt, scale, n, u.data());
        scalings(gHalf.data(), gAt, scale, m, v.data());
        scalings(gBefore, gAt, scale, m, w.data());
        for (int64_t j = 0; j < m; j++) v[j] *= e[j];
        left.resize((ranks + 2) * n);
        right.resize((ranks + 2) * m);
        float *first = left.data() + ranks * n, *second = first + n;
        scalings(fHalf.data(), fAt, scale, n, second);
        std::copy_n(u.data(), n, first);
        passOverRows(kernel.data(), n, m, v.data(), second, sums.data(), [&](int64_t from, int64_t count, const float* products) {
          for (int64_t i = from; i < from + count; i++) {
            const float atF = df[i] - u[i] * products[i - from];
            h[i] = a[i] > 0 ? s.relaxation * s.rowDamping * atF / a[i] : 0;
            df[i] = atF;
            second[i] *= h[i];
          }
          return true;
        });
        for (int64_t j = 0; j < m; j++) sums[j] *= w[j];
        std::copy_n(v.data(), m, right.data() + ranks * m);
        std::copy_n(w.data(), m, right.data() + (ranks + 1) * m);
        ranks += 2;
      } else {
        for (int64_t i = 0; i < n; i++) {
          float* out = dcost + i * m;
          planRow(cost + i * m, f[i], gHalf.data(), scale, m, line.data());
          const float atF = df[i] - dot(line.data(), e.data(), m);
#pragma omp simd
          for (int64_t j = 0; j < m; j++) out[j] += line[j] * e[j];
          h[i] = a[i] > 0 ? s.relaxation * s.rowDamping * atF / a[i] : 0;
          df[i] = atF;
          planRow(cost + i * m, fHalf[i], gBefore, scale, m, line.data());
          addScaled(out, line.data(), h[i], m);
          addScaled(sums.data(), line.data(), h[i], m);
        }
      }
      const float kept = 1 - s.relaxation;
      for (int64_t i = 0; i < n; i++) {
        da[i] += s.lambda * h[i];
        df[i] *= kept;
      }
      for (int64_t j = 0; j < m; j++) dg[j] = kept * dg[j] - sums[j];
    }
    addRanks(dcost, kernel.data(), left, right, ranks, n, m);
  });
}

}  // namespace

std::string registerTransportGradientOperations() {
  return Operation<sinkhornGradSignature, sinkhornGrad>::registered();
}

}  // namespace fdiv_ops
