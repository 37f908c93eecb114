// Convolutions of 3 × 3 taps and stride 1 by Winograd's F(2 × 2, 3 × 3): 16 products for 4 outputs where the sum over taps takes 36.
#pragma once
#include "window.h"

namespace fdiv_ops {

/** Whether the transforms cost less than the products that they save. */
bool suitsWinograd(const Window& w, int64_t outputs);

/** y [batch, outHeight, outWidth, outputs] = convolution + bias, which may be null. */
void winogradConvolve(const Window& w, const float* x, const float* weight, const WeightOrder& order, int64_t outputs,
                      const float* bias, float* y);

/** The same of a weight's gradient, whose partial sums have to fit as well. */
bool suitsWinogradGradient(const Window& w, int64_t outputs);

/** dweight [outputs, channels, 3, 3]. */
void winogradWeightGradient(const Window& w, const float* x, const float* dy, int64_t outputs, float* dweight);

}  // namespace fdiv_ops
