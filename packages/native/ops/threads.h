// Tasks over the machine's cores. What a task computes never depends on how many threads there are.
#pragma once
#include <cstdint>
#include <functional>

namespace fdiv_ops {

int threadCount();

/** Runs task(0) … task(count − 1), each once, in any order, on all threads; returns when all have ended. */
void forEachTask(int64_t count, const std::function<void(int64_t)>& task);

/** While one lives, the threads wait for the next tasks without sleeping: for operations of many short parts. */
class Awake {
 public:
  Awake();
  ~Awake();
  Awake(const Awake&) = delete;
  Awake& operator=(const Awake&) = delete;
};

/** Cuts [0, size) into spans of the same length, for any number of threads, and runs span(from, to) of each. */
template <typename Span>
void forEachSpan(int64_t size, int64_t length, const Span& span) {
  const int64_t count = (size + length - 1) / length;
  if (count == 1) return span(int64_t{0}, size);
  forEachTask(count, [&](int64_t i) {
    const int64_t from = i * length;
    span(from, from + length < size ? from + length : size);
  });
}

/** Of n, how many make one of the fewest, even groups of at most `most`. */
constexpr int64_t evenly(int64_t n, int64_t most) {
  const int64_t groups = (n + most - 1) / most;
  return groups == 0 ? 1 : (n + groups - 1) / groups;
}

/** How many rows of `width` numbers make a task worth handing to another thread. */
inline int64_t rowsPerTask(int64_t width) {
  const int64_t rows = 16384 / (width > 0 ? width : 1);
  return rows < 1 ? 1 : rows;
}

}  // namespace fdiv_ops
