// Entropic optimal transport: Sinkhorn's iterations, one problem a task.
#include <algorithm>

#include "tensorflow-op.h"
#include "threads.h"
#include "transport-kernel.h"

namespace fdiv_ops {
namespace {

/** A problem on its way. */
struct Problem {
  const float *cost, *a, *b;
  float *f, *g;
};

/** Everything a problem needs beside its outputs, made once a task. */
struct Scratch {
  explicit Scratch(const TransportSettings& s)
      : kernel(s.n * s.m), rows(s.n), u(s.n), v(s.m), top(s.m), sum(s.m), soft(s.m), fAt(s.n), gAt(s.m) {}
  std::vector<float> kernel, rows, u, v, top, sum, soft;
  /** The potentials that the kernel was made with. */
  std::vector<float> fAt, gAt;
};

void iterateByLogarithms(const Problem& p, const TransportSettings& s, Scratch& scratch) {
  const float scale = 1 / s.lambda;
  for (int64_t i = 0; i < s.n; i++) {
    const float soft = p.a[i] > 0 ? softRow(p.cost + i * s.m, p.g, s.lambda, scale, s.m) : 0;
    p.f[i] = halfStep(p.f[i], p.a[i], soft, s.lambda, s.relaxation, s.rowDamping);
  }
  softColumns(p.cost, p.f, s, scratch.top.data(), scratch.sum.data(), scratch.soft.data());
  for (int64_t j = 0; j < s.m; j++)
    p.g[j] = halfStep(p.g[j], p.b[j], scratch.soft[j], s.lambda, s.relaxation, s.columnDamping);
}

/** The kernel with the shifts fAt and gAt taken into it: from here on scalings are 1. */
void makeKernel(const Problem& p, const TransportSettings& s, Scratch& scratch) {
  for (int64_t i = 0; i < s.n; i++)
    planRow(p.cost + i * s.m, scratch.fAt[i], scratch.gAt.data(), 1 / s.lambda, s.m, scratch.kernel.data() + i * s.m);
  for (int64_t j = 0; j < s.m; j++) scratch.v[j] = scratch.gAt[j] == -INFINITY ? 0 : 1;
}

/** The kernel before the first iteration, each row shifted until its largest entry is 1: there is no potential of the rows yet. */
void begin(const Problem& p, const TransportSettings& s, Scratch& scratch) {
  for (int64_t i = 0; i < s.n; i++)
    scratch.fAt[i] = p.a[i] > 0 ? -largestOfRow(p.cost + i * s.m, p.g, s.m) : -INFINITY;
  std::copy_n(p.g, s.m, scratch.gAt.data());
  makeKernel(p, s, scratch);
}

/** The kernel with the potentials as they are taken into it. */
void absorb(const Problem& p, const TransportSettings& s, Scratch& scratch) {
  std::copy_n(p.f, s.n, scratch.fAt.data());
  std::copy_n(p.g, s.m, scratch.gAt.data());
  makeKernel(p, s, scratch);
}

/** One pass over the kernel as scalings of the rows are made; the columns' sums under those are in scratch.sum. */
template <typename Scale>
bool passOver(const TransportSettings& s, Scratch& scratch, const Scale& scale) {
  std::fill_n(scratch.sum.data(), s.m, 0.0f);
  return passOverRows(scratch.kernel.data(), s.n, s.m, scratch.v.data(), scratch.u.data(), scratch.sum.data(), scale);
}

/**
 * Scalings mass/total of half-steps that are neither damped nor relaxed, 0 without mass. False where one is out of bounds, or no number.
 */
inline bool scalingsOf(const float* __restrict mass, const float* __restrict total, int64_t size, float* __restrict out) {
  int32_t beyond = 0;
#pragma omp simd reduction(+ : beyond)
  for (int64_t i = 0; i < size; i++) {
    const float scaling = mass[i] / total[i];
    const bool isGood = scaling >= leastScaling && scaling <= mostScaling;
    out[i] = mass[i] > 0 ? scaling : 0;
    beyond += isGood || !(mass[i] > 0) ? 0 : 1;
  }
  return beyond == 0;
}

/** The potentials that scalings mean of those that the kernel was made with; −∞ without mass. */
inline void potentialsOf(const float* __restrict scaling, const float* __restrict at, float lambda, int64_t size,
                         float* __restrict out) {
#pragma omp simd
  for (int64_t i = 0; i < size; i++)
    out[i] = scaling[i] > 0 ? at[i] + lambda * logarithm(scaling[i]) : -INFINITY;
}

/** `iterateByProducts` where half-steps are whole: a scaling is a quotient, and takes no logarithm on its way. */
bool iteratePlainly(const Problem& p, const TransportSettings& s, Scratch& scratch) {
  float* u = scratch.u.data();
  const bool isSafe = passOver(s, scratch, [&](int64_t from, int64_t count, const float* totals) {
    return scalingsOf(p.a + from, totals, count, u + from);
  });
  if (!isSafe || !scalingsOf(p.b, scratch.sum.data(), s.m, scratch.top.data())) return false;
  std::swap(scratch.v, scratch.top);
  potentialsOf(u, scratch.fAt.data(), s.lambda, s.n, p.f);
  potentialsOf(scratch.v.data(), scratch.gAt.data(), s.lambda, s.m, p.g);
  return true;
}

/** The scaling that a new potential means, or NaN where it is out of bounds. */
inline float scalingOf(float potential, float at, float scale) {
  const float x = (potential - at) * scale;
  return std::fabs(x) <= mostExponent ? exponential(x) : NAN;
}

/**
 * The same iteration by one pass over the kernel: a row's sum, its scaling, and what it adds to the columns' sums. False where float32 would
 * lose what counts; the potentials are as before then.
 */
bool iterateByProducts(const Problem& p, const TransportSettings& s, Scratch& scratch) {
  const float scale = 1 / s.lambda;
  const float* sum = scratch.sum.data();
  bool isSafe = passOver(s, scratch, [&](int64_t from, int64_t count, const float* totals) {
    bool isGood = true;
    for (int64_t i = from; i < from + count; i++) {
      float f = -INFINITY, u = 0;
      if (p.a[i] > 0) {
        const float soft = s.lambda * std::log(totals[i - from]) - scratch.fAt[i];
        f = halfStep(p.f[i], p.a[i], soft, s.lambda, s.relaxation, s.rowDamping);
        u = scalingOf(f, scratch.fAt[i], scale);
        isGood &= u == u;
      }
      scratch.rows[i] = f;
      scratch.u[i] = u;
    }
    return isGood;
  });
  if (!isSafe) return false;
  for (int64_t j = 0; j < s.m; j++) {
    float g = -INFINITY, v = 0;
    if (p.b[j] > 0) {
      const float soft = s.lambda * std::log(sum[j]) - scratch.gAt[j];
      g = halfStep(p.g[j], p.b[j], soft, s.lambda, s.relaxation, s.columnDamping);
      v = scalingOf(g, scratch.gAt[j], scale);
      isSafe &= v == v;
    }
    scratch.soft[j] = g;
    scratch.top[j] = v;
  }
  if (!isSafe) return false;
  std::copy_n(scratch.rows.data(), s.n, p.f);
  std::copy_n(scratch.soft.data(), s.m, p.g);
  std::swap(scratch.v, scratch.top);
  return true;
}

/** `movement` from the kernel and the scalings of its last iteration. */
float movementByProducts(const Problem& p, const TransportSettings& s, const Scratch& scratch) {
  float moved = 0;
  for (int64_t i = 0; i < s.n; i++)
    if (p.a[i] > 0)
      moved += std::fabs(p.a[i] - scratch.u[i] * dot(scratch.kernel.data() + i * s.m, scratch.v.data(), s.m));
  return moved;
}

/** Mass that one more half-step of the rows would move. */
float movement(const Problem& p, const TransportSettings& s) {
  const float scale = 1 / s.lambda;
  float moved = 0;
  for (int64_t i = 0; i < s.n; i++) {
    if (!(p.a[i] > 0)) continue;
    const float soft = softRow(p.cost + i * s.m, p.g, s.lambda, scale, s.m);
    const float row = exponential((p.f[i] + soft) * scale);
    if (s.rowDamping == 1) {
      moved += std::fabs(p.a[i] - row);
      continue;
    }
    const float half = s.rowDamping * (s.lambda * std::log(p.a[i]) - soft);
    moved += row * std::fabs(exponential((half - p.f[i]) * scale) - 1);
  }
  return moved;
}

/** Row i of the plan: out of the kernel where that is scaled to it, else from the potentials. */
RowSums planRowOf(const Problem& p, const TransportSettings& s, const Scratch& scratch, bool isScaled, int64_t i, float* out,
                  float* columns) {
  const float* cost = p.cost + i * s.m;
  if (isScaled) {
    const float *__restrict kernel = scratch.kernel.data() + i * s.m, *__restrict v = scratch.v.data();
    const float u = scratch.u[i];
    return finishRow(cost, s.m, out, columns, [=](int64_t j) { return u * kernel[j] * v[j]; });
  }
  const float f = p.f[i], scale = 1 / s.lambda, *__restrict g = p.g;
  return finishRow(cost, s.m, out, columns, [=](int64_t j) { return exponential((f + g[j] - cost[j]) * scale); });
}

const Signature sinkhornSignature{
    "FdivSinkhorn",
    {"cost: float", "a: float", "b: float", "f_start: float", "g_start: float"},
    {"f: float", "g: float", "steps: float", "plan: float", "rows: float", "columns: float", "transported: float",
     "f_history: float", "g_history: float"},
    {"lambda: float", "iterations: int", "tolerance: float", "check_every: int", "row_damping: float",
     "column_damping: float", "relaxation: float", "keep_history: bool"}};

void sinkhorn(Call& call) {
  const auto& at = call.attributes;
  const TransportSettings s{call.dim(0, 1), call.dim(0, 2), at.real(0), at.real(4), at.real(5), at.real(6)};
  const int64_t batch = call.dim(0, 0), iterations = at.integer(1), checkEvery = at.integer(3);
  const float tolerance = at.real(2);
  const bool keeps = at.flag(7);
  const int64_t kept = keeps ? iterations : 0;
  float *f = call.output(0, {batch, s.n}), *g = call.output(1, {batch, s.m}), *steps = call.output(2, {batch});
  float* plan = call.output(3, {batch, s.n, s.m});
  float *rows = call.output(4, {batch, s.n}), *columns = call.output(5, {batch, s.m});
  float *transported = call.output(6, {batch});
  float *fHistory = call.output(7, {batch, kept, s.n}), *gHistory = call.output(8, {batch, kept, s.m});
  if (!call.ok()) return;
  forEachTask(batch, [&](int64_t which) {
    Scratch scratch(s);
    const Problem p{call.floats(0) + which * s.n * s.m, call.floats(1) + which * s.n, call.floats(2) + which * s.m,
                    f + which * s.n, g + which * s.m};
    const float *fStart = call.floats(3) + which * s.n, *gStart = call.floats(4) + which * s.m;
    bool allowsProducts = true;
    for (int64_t i = 0; i < s.n; i++) {
      p.f[i] = p.a[i] > 0 ? fStart[i] : -INFINITY;
      allowsProducts &= !(p.a[i] > 0) || p.a[i] >= leastMass;
    }
    for (int64_t j = 0; j < s.m; j++) {
      p.g[j] = p.b[j] > 0 ? gStart[j] : -INFINITY;
      allowsProducts &= !(p.b[j] > 0) || p.b[j] >= leastMass;
    }
    bool hasKernel = allowsProducts && iterations > 1;
    if (hasKernel) begin(p, s, scratch);
    // Whether the plan is diag(u)·kernel·diag(v) as it stands.
    bool isScaled = false;
    int64_t step = 0;
    for (; step < iterations; step++) {
      if (tolerance > 0 && step > 0 && step % checkEvery == 0 &&
          (isScaled ? movementByProducts(p, s, scratch) : movement(p, s)) <= tolerance)
        break;
      hasKernel = hasKernel && (s.isPlain() ? iteratePlainly(p, s, scratch) : iterateByProducts(p, s, scratch));
      isScaled = hasKernel && s.isPlain();
      if (!hasKernel) {
        iterateByLogarithms(p, s, scratch);
        // The last one needs no kernel of the products.
        hasKernel = allowsProducts && step + 1 < iterations;
        if (hasKernel) absorb(p, s, scratch);
      }
      if (keeps) {
        std::copy_n(p.f, s.n, fHistory + (which * iterations + step) * s.n);
        std::copy_n(p.g, s.m, gHistory + (which * iterations + step) * s.m);
      }
    }
    for (int64_t rest = step; keeps && rest < iterations; rest++) {
      std::copy_n(p.f, s.n, fHistory + (which * iterations + rest) * s.n);
      std::copy_n(p.g, s.m, gHistory + (which * iterations + rest) * s.m);
    }
    steps[which] = static_cast<float>(step);
    float* sums = columns + which * s.m;
    std::fill_n(sums, s.m, 0.0f);
    double spent = 0;
    for (int64_t i = 0; i < s.n; i++) {
      const RowSums row = planRowOf(p, s, scratch, isScaled, i, plan + (which * s.n + i) * s.m, sums);
      rows[which * s.n + i] = row.mass;
      spent += row.cost;
    }
    transported[which] = static_cast<float>(spent);
  });
}

}  // namespace

std::string registerTransportOperations() { return Operation<sinkhornSignature, sinkhorn>::registered(); }

}  // namespace fdiv_ops
