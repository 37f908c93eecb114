// What attention and decoding share.
#pragma once
#include <algorithm>
#include <cstdint>

namespace fdiv_ops {

struct Range {
  int64_t from = 0, to = 0;
  int64_t length() const { return std::max<int64_t>(0, to - from); }
};

struct AttentionShape {
  int64_t batch, time, keys, heads, kvHeads, size, window;
  float scale;
  int64_t groups() const { return heads / kvHeads; }
  int64_t width() const { return heads * size; }
  int64_t kvWidth() const { return kvHeads * size; }
};

/** One head's output [size] for one query [size], from its head's keys and values, kvWidth apart; and the log-sum-exp. */
void attendOne(const AttentionShape& shape, const int32_t* layout, int64_t time, const float* q, const float* k,
               const float* v, float* out, float* logSumExp);

}  // namespace fdiv_ops
