// A window over images [batch, height, width, channels], and the bands of them that a thread works on.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

namespace fdiv_ops {

/** Numbers of a band with its border: what the second cache holds beside the weights. */
constexpr int64_t bandNumbers = 64 * 1024;

/** A window of height × width over images with zeros around, and what it yields. */
struct Window {
  int64_t batch, height, width, channels;
  int64_t kernelHeight, kernelWidth, stride;
  /** Zeros before the first row and column; less than none crops. */
  int64_t top, left;
  int64_t outHeight, outWidth;
  /** How far apart the images' own pixels are put, with zeros between; 1 but for the gradient of a stride. */
  int64_t spread = 1;

  int64_t taps() const { return kernelHeight * kernelWidth; }
  int64_t bandWidth() const { return (outWidth - 1) * stride + kernelWidth; }
  int64_t bandHeight(int64_t rows) const { return (rows - 1) * stride + kernelHeight; }
  /** Rows of output that make a band. */
  int64_t bandRows() const {
    const int64_t fits = bandNumbers / (bandWidth() * channels);
    return std::clamp<int64_t>((fits - kernelHeight) / stride + 1, 1, outHeight);
  }
};

/** Copies what output rows [first, first + rows) of an image read: [bandHeight, bandWidth, channels], zeros where the image is not. */
inline void copyBand(const Window& g, const float* image, int64_t first, int64_t rows, float* to) {
  const int64_t high = g.bandHeight(rows), wide = g.bandWidth(), line = wide * g.channels;
  const int64_t reach = (g.width - 1) * g.spread;
  for (int64_t y = 0; y < high; y++) {
    float* out = to + y * line;
    const int64_t at = first * g.stride + y - g.top;
    if (at < 0 || at % g.spread != 0 || at / g.spread >= g.height) {
      std::memset(out, 0, sizeof(float) * static_cast<size_t>(line));
      continue;
    }
    const float* row = image + at / g.spread * g.width * g.channels;
    if (g.spread == 1) {
      // Cropped on the left where there are fewer than no zeros.
      const int64_t before = std::clamp<int64_t>(g.left, 0, wide), skipped = std::min(std::max<int64_t>(0, -g.left), g.width);
      const int64_t inside = std::clamp<int64_t>(g.width - skipped, 0, wide - before);
      std::memset(out, 0, sizeof(float) * static_cast<size_t>(before * g.channels));
      std::memcpy(out + before * g.channels, row + skipped * g.channels, sizeof(float) * static_cast<size_t>(inside * g.channels));
      std::memset(out + (before + inside) * g.channels, 0, sizeof(float) * static_cast<size_t>((wide - before - inside) * g.channels));
      continue;
    }
    for (int64_t x = 0; x < wide; x++) {
      const int64_t from = x - g.left;
      const size_t bytes = sizeof(float) * static_cast<size_t>(g.channels);
      if (from >= 0 && from <= reach && from % g.spread == 0)
        std::memcpy(out + x * g.channels, row + from / g.spread * g.channels, bytes);
      else
        std::memset(out + x * g.channels, 0, bytes);
    }
  }
}

/** Where a convolution's weight has the number that takes channel c under a tap to output j. */
struct WeightOrder {
  int64_t taps, channelStep, outputStep;
  /** Whether taps run backwards, as for the gradient of what goes in. */
  bool turned = false;
  int64_t at(int64_t tap, int64_t c, int64_t j) const {
    return j * outputStep + c * channelStep + (turned ? taps - 1 - tap : tap);
  }
};

}  // namespace fdiv_ops
