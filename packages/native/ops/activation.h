// The activations by the numbers that the caller gives them.
#pragma once
#include <cstdint>

namespace fdiv_ops {

/** x ← f(x); 0: itself, 1: GELU, 2: GELU by tanh, 3: SiLU, 4: ReLU. */
void activateInPlace(int64_t kind, float* x, int64_t count);
/** dx = dy·f′(x). */
void activationSlope(int64_t kind, const float* dy, const float* x, float* dx, int64_t count);

}  // namespace fdiv_ops
