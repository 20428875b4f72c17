// What lives here: the loops of Winograd's convolution that are not products: tiles of images and of gradients, and kernels, into the
// domain where a convolution is a product per point, and back. One thread; no choice of algorithm, no scratch of its own.
#pragma once
#include <cstdint>

namespace keras::cpu {

/// F(m×m, 3×3): m×m outputs from (m + 2)² inputs by (m + 2)² products. m is 2 or 4.
inline constexpr int winograd_points(int m) { return (m + 2) * (m + 2); }

/// Images (N, height, width, channels) cut into tiles of m×m outputs, row by row. Tile (i, j) begins at pixel (i m - top, j m - left) of
/// the image it reads or writes; pixels outside are zeros, or not written.
struct WinogradTiles {
  int64_t height = 0, width = 0;  // of the image
  int64_t pixel = 0;              // elements from one pixel to the next
  int64_t rows = 0, columns = 0;  // tiles of an image
  int64_t top = 0, left = 0;
};

/// Values per point: point p of tile t, channel c at base[p * plane + t * ld + c]; t counts from the first tile of a call.
struct WinogradPlanes {
  float* base = nullptr;
  int64_t plane = 0, ld = 0;
};

struct WinogradEpilogue {
  const float* bias = nullptr;
  const float* add = nullptr;  // laid out as the output
  bool relu = false, relu6 = false;
};

/// `count` tiles of x from `first` on, `channels` of them, into the domain of products. Whole vectors are written: ld is a multiple of
/// winograd_lanes(). `zeros` holds as many zeros as there are channels, rounded up to vectors.
void winograd_input(int m, const float* x, const WinogradTiles& tiles, int64_t first, int64_t count, int64_t channels, const float* zeros,
                    const WinogradPlanes& to);
/// The same for m×m tiles of an output's gradient (top and left are 0).
void winograd_gradient(int m, const float* dy, const WinogradTiles& tiles, int64_t first, int64_t count, int64_t channels,
                       const float* zeros, const WinogradPlanes& to);
/// Sums of products back to m×m pixels of y.
void winograd_output(int m, const WinogradPlanes& from, const WinogradTiles& tiles, int64_t first, int64_t count, int64_t channels,
                     float* y, const WinogradEpilogue& epilogue);

/// Asks for the m×m pixels of each tile, which a call to come reads or writes: the memory delivers while products are at work.
void winograd_prefetch(int m, const float* image, const WinogradTiles& tiles, int64_t first, int64_t count, int64_t channels);

/// Kernel (3, 3, k, n), `w_row` elements from one of k to the next and `w_tap` from tap to tap, into strips of columns as strip_gemm
/// reads them, for rows [begin, end) of k. Columns are filled up to whole vectors. `back`: the kernel of the gradient to the input: taps in
/// opposite order, and w's rows are the columns here (n of them).
void winograd_kernel(int m, const float* w, int64_t w_row, int64_t w_tap, bool back, int64_t k, int64_t n, int64_t begin, int64_t end,
                     float* to, int64_t plane);
/// Row c of the kernel's gradient from `parts` sums (point p at from[part * part_step + p * plane], n values each), added in order.
void winograd_kernel_gradient(int m, const float* from, int64_t parts, int64_t part_step, int64_t plane, int64_t n, float* dw,
                              int64_t w_tap);

/// Floats of a vector of the instruction set in use.
int64_t winograd_lanes();

}  // namespace keras::cpu
