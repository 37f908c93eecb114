// The matrix product of everything but attention: any layout, weights in float32 or bfloat16, bias and activation as it is written.
#pragma once
#include <cstdint>

namespace fdiv_ops {

/** Element (r, c) lies at data[r·row + c·column]; one of the two strides is 1. */
struct Matrix {
  const void* data;
  int64_t row, column;
  /** Whether its numbers are bfloat16, which only a right operand may be. */
  bool half = false;
};

/** A row-major [rows, columns] matrix, or its transpose. */
inline Matrix matrix(const void* data, int64_t columns, bool transposed, bool half = false) {
  return transposed ? Matrix{data, 1, columns, half} : Matrix{data, columns, 1, half};
}

/** What is done to each number of a product once it is whole: y = f(product + bias). */
struct Finish {
  /** [n], or null. */
  const float* bias = nullptr;
  /** As of `activateInPlace`. */
  int64_t activation = 0;
  /** Where product + bias is kept, or null. */
  float* preactivation = nullptr;
  /** Whether the product is added to what c holds. */
  bool accumulate = false;
};

/**
 * c [m, n] = f(a [m, k] · b [k, n] + bias), on all threads. Each number is summed in one order, whatever the threads.
 */
void product(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float* c, const Finish& finish = {});

/** Rows up to which b is read where it lies: packing it would cost more than it gains. */
constexpr int64_t fewRows = 64;

/**
 * Columns [from, to) of a product of few rows, on this thread.
 *
 * @param packed a as `packFew` left it
 */
void fewRowsProduct(int64_t m, int64_t n, int64_t k, const float* packed, const Matrix& b, int64_t from, int64_t to,
                    float* c);

/** Room that `packFew` needs, in numbers. */
int64_t packedFewSize(int64_t m, int64_t k, const Matrix& b);
/** Copies the m ≤ fewRows rows of a in the order in which `fewRowsProduct` reads them. */
void packFew(int64_t m, int64_t k, const Matrix& a, const Matrix& b, float* packed);

/**
 * A weight packed once for many products of few rows: panels of so many columns as a vector holds, element (k, j) of one at
 * k·panelWidth + j, panels one behind the other, the last filled up with zeros. [panelsOf(n), k, panelWidth()]
 */
int64_t panelsOf(int64_t n);
int64_t panelWidth();
/** Fills panels [first, last) of b [k, n]. */
void packPanels(int64_t n, int64_t k, const Matrix& b, int64_t first, int64_t last, float* to);
/** Copies rows of a [m, k] into m·k numbers in the order in which `panelsProduct` reads them. */
void packForPanels(int64_t m, int64_t k, const float* a, float* packed);
/** Columns [from, to) of a product with such a weight, on this thread; `from` is where a panel starts. */
void panelsProduct(int64_t m, int64_t n, int64_t k, const float* packed, const float* panels, int64_t from, int64_t to,
                   float* c);

}  // namespace fdiv_ops
