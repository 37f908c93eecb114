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

/** All heads' outputs [width] for the only query of a row [width], from its keys and values [keys, kvWidth], each read in one stream. */
void attendRow(const AttentionShape& shape, const int32_t* layout, const float* q, const float* k, const float* v, float* out);

}  // namespace fdiv_ops
