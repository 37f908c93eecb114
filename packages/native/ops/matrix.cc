// Matrix products as operations: linear layers with what follows them, and weights that lie in memory as bfloat16.
#include "lanes.h"
#include "product.h"
#include "tensorflow-op.h"
#include "threads.h"

namespace fdiv_ops {
namespace {

/** What every product's attributes are, and their order. */
enum { transposeA, transposeB, kind };

/** A product whose right operand is float32, or bfloat16 in pairs: [rows, columns / 2] of int32, the first of two in the lower half. */
void productOf(Call& call, bool half, bool keeps) {
  const Attributes& given = call.attributes;
  const bool ta = given.flag(transposeA), tb = given.flag(transposeB);
  const int64_t rows = call.dim(0, 0), columns = call.dim(0, 1), m = ta ? columns : rows, k = ta ? rows : columns;
  const int64_t right = call.dim(1, 1) * (half ? 2 : 1), n = tb ? call.dim(1, 0) : right;
  if ((tb ? right : call.dim(1, 0)) != k) return call.fail("a product's operands have other inner sizes.");
  if (call.size(2) != 0 && call.size(2) != n) return call.fail("a product's bias has another size.");
  float* y = call.output(0, {m, n});
  float* kept = keeps ? call.output(1, {m, n}) : nullptr;
  if (!call.ok()) return;
  const void* b = half ? static_cast<const void*>(call.integers(1)) : call.floats(1);
  const Finish finish{call.size(2) > 0 ? call.floats(2) : nullptr, given.integer(kind), kept};
  product(m, n, k, matrix(call.floats(0), columns, ta), matrix(b, right, tb, half), y, finish);
}

const Signature productSignature{"FdivProduct",
                                 {"a: float", "b: float", "bias: float"},
                                 {"y: float"},
                                 {"transpose_a: bool", "transpose_b: bool", "kind: int"}};
void plain(Call& call) { productOf(call, false, false); }

const Signature keptSignature{"FdivProductKept",
                              {"a: float", "b: float", "bias: float"},
                              {"y: float", "preactivation: float"},
                              {"transpose_a: bool", "transpose_b: bool", "kind: int"}};
void kept(Call& call) { productOf(call, false, true); }

const Signature halfSignature{"FdivHalfProduct",
                              {"a: float", "b: int32", "bias: float"},
                              {"y: float"},
                              {"transpose_a: bool", "transpose_b: bool", "kind: int"}};
void halfPlain(Call& call) { productOf(call, true, false); }

const Signature halfKeptSignature{"FdivHalfProductKept",
                                  {"a: float", "b: int32", "bias: float"},
                                  {"y: float", "preactivation: float"},
                                  {"transpose_a: bool", "transpose_b: bool", "kind: int"}};
void halfKept(Call& call) { productOf(call, true, true); }

/** A weight packed for a decoding step: [panels, inputs, panel's width]. */
const Signature panelsSignature{"FdivPanels", {"weight: float"}, {"panels: float"}, {"transposed: bool"}};
void panels(Call& call) {
  const bool transposed = call.attributes.flag(0);
  const int64_t rows = call.dim(0, 0), columns = call.dim(0, 1), n = transposed ? rows : columns, k = transposed ? columns : rows;
  float* out = call.output(0, {panelsOf(n), k, panelWidth()});
  if (!call.ok()) return;
  const Matrix weight = matrix(call.floats(0), columns, transposed);
  forEachSpan(panelsOf(n), rowsPerTask(k * panelWidth()),
              [&](int64_t from, int64_t to) { packPanels(n, k, weight, from, to, out); });
}

void widenRow(const Half* from, float* to, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; i++) to[i] = widened(from[i]);
}

/** bfloat16 in pairs as float32. */
const Signature widenSignature{"FdivWiden", {"x: int32"}, {"y: float"}, {}};
void widen(Call& call) {
  std::vector<int64_t> shape = call.shape(0);
  shape.back() *= 2;
  float* y = call.output(0, shape);
  if (!call.ok()) return;
  const Half* x = reinterpret_cast<const Half*>(call.integers(0));
  forEachSpan(2 * call.size(0), 1 << 16, [&](int64_t from, int64_t to) { widenRow(x + from, y + from, to - from); });
}

/** The rows of a table of bfloat16 that ids name. */
const Signature gatherSignature{"FdivHalfGather", {"table: int32", "ids: int32"}, {"rows: float"}, {}};
void gather(Call& call) {
  const int64_t size = call.dim(0, 0), n = 2 * call.dim(0, 1), m = call.size(1);
  const Half* table = reinterpret_cast<const Half*>(call.integers(0));
  const int32_t* ids = call.integers(1);
  for (int64_t r = 0; r < m; r++)
    if (ids[r] < 0 || ids[r] >= size)
      return call.fail("id " + std::to_string(ids[r]) + " is outside [0, " + std::to_string(size) + ").");
  float* rows = call.output(0, {m, n});
  if (!call.ok()) return;
  forEachSpan(m, rowsPerTask(n), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) widenRow(table + ids[r] * n, rows + r * n, n);
  });
}

}  // namespace

std::string registerMatrixOperations() {
  return Operation<productSignature, plain>::registered() + Operation<keptSignature, kept>::registered() +
         Operation<halfSignature, halfPlain>::registered() + Operation<halfKeptSignature, halfKept>::registered() +
         Operation<panelsSignature, panels>::registered() +
         Operation<widenSignature, widen>::registered() + Operation<gatherSignature, gather>::registered();
}

}  // namespace fdiv_ops
