// Vectors as wide as the processor's, by the compiler's own vector types.
#pragma once
#include <cstdint>
#include <cstring>

namespace fdiv_ops {

#if defined(__AVX512F__)
constexpr int widest = 16;
#elif defined(__AVX__)
constexpr int widest = 8;
#else
constexpr int widest = 4;
#endif
/** So many numbers filled up to whole vectors. */
constexpr int64_t wholeVectors(int64_t n) { return (n + widest - 1) / widest * widest; }

template <int lanes>
struct VectorOf;
template <>
struct VectorOf<4> {
  typedef float Type __attribute__((vector_size(16)));
  typedef uint32_t Bits __attribute__((vector_size(16)));
  typedef uint16_t Halves __attribute__((vector_size(8)));
};
template <>
struct VectorOf<8> {
  typedef float Type __attribute__((vector_size(32)));
  typedef uint32_t Bits __attribute__((vector_size(32)));
  typedef uint16_t Halves __attribute__((vector_size(16)));
};
template <>
struct VectorOf<16> {
  typedef float Type __attribute__((vector_size(64)));
  typedef uint32_t Bits __attribute__((vector_size(64)));
  typedef uint16_t Halves __attribute__((vector_size(32)));
};

template <int lanes>
inline typename VectorOf<lanes>::Type load(const float* from) {
  typename VectorOf<lanes>::Type vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}

/** bfloat16 is the upper half of float32. */
typedef uint16_t Half;
inline float widened(Half half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline float widened(float value) { return value; }

template <int lanes>
inline typename VectorOf<lanes>::Type load(const Half* from) {
  typename VectorOf<lanes>::Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  const typename VectorOf<lanes>::Bits bits = __builtin_convertvector(halves, typename VectorOf<lanes>::Bits) << 16;
  typename VectorOf<lanes>::Type vector;
  std::memcpy(&vector, &bits, sizeof vector);
  return vector;
}

template <int lanes>
inline void store(float* to, const typename VectorOf<lanes>::Type& vector) {
  std::memcpy(to, &vector, sizeof vector);
}

/** The sum of a vector's numbers, by halves. */
template <int lanes>
inline float laneSum(const typename VectorOf<lanes>::Type& vector) {
  if constexpr (lanes == 4) {
    return (vector[0] + vector[2]) + (vector[1] + vector[3]);
  } else {
    typename VectorOf<lanes / 2>::Type halves[2];
    std::memcpy(halves, &vector, sizeof vector);
    return laneSum<lanes / 2>(halves[0] + halves[1]);
  }
}

}  // namespace fdiv_ops
