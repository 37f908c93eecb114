// Memory that a thread keeps from one operation to the next.
#pragma once
#include <cstdint>
#include <vector>

namespace fdiv_ops {

/** Room for so many numbers in a buffer that only grows. */
inline float* room(std::vector<float>& buffer, int64_t size) {
  if (static_cast<int64_t>(buffer.size()) < size) buffer.resize(static_cast<size_t>(size));
  return buffer.data();
}

}  // namespace fdiv_ops
