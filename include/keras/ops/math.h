// What lives here: keras.ops' math family: segments, selection, special functions, Fourier transforms (complex numbers are pairs).
#pragma once
#include <keras/ops/types.h>

namespace keras::ops {

/// Sums of the rows with equal segment id; without `num_segments` the ids must be concrete. Negative ids are dropped.
Tensor segment_sum(const Tensor& data, const Tensor& segment_ids, std::optional<int64_t> num_segments = {}, bool sorted = false);
Tensor segment_max(const Tensor& data, const Tensor& segment_ids, std::optional<int64_t> num_segments = {}, bool sorted = false);
Tensor segment_min(const Tensor& data, const Tensor& segment_ids, std::optional<int64_t> num_segments = {}, bool sorted = false);
Tensor segment_prod(const Tensor& data, const Tensor& segment_ids, std::optional<int64_t> num_segments = {}, bool sorted = false);
/// Largest k values of the last axis and their positions.
std::pair<Tensor, Tensor> top_k(const Tensor& x, int64_t k, bool sorted = true);
Tensor in_top_k(const Tensor& targets, const Tensor& predictions, int64_t k);
Tensor logsumexp(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
Tensor erf(const Tensor& x);
Tensor erfc(const Tensor& x);
Tensor erfinv(const Tensor& x);
Tensor rsqrt(const Tensor& x);
/// Frames of the last axis: (…, time) → (…, frames, sequence_length).
Tensor extract_sequences(const Tensor& x, int64_t sequence_length, int64_t sequence_stride);
/// Over the last axis.
Complex fft(const Complex& x);
/// Over the last two axes.
Complex fft2(const Complex& x);
Complex ifft2(const Complex& x);
Complex rfft(const Tensor& x, std::optional<int64_t> fft_length = {});
Tensor irfft(const Complex& x, std::optional<int64_t> fft_length = {});
/// `window`: "hann", "hamming" or "" for none.
Complex stft(const Tensor& x, int64_t sequence_length, int64_t sequence_stride, int64_t fft_length, std::string_view window = "hann",
             bool center = true);
Complex stft(const Tensor& x, int64_t sequence_length, int64_t sequence_stride, int64_t fft_length, const Tensor& window,
             bool center = true);
Tensor istft(const Complex& x, int64_t sequence_length, int64_t sequence_stride, int64_t fft_length, std::optional<int64_t> length = {},
             std::string_view window = "hann", bool center = true);
Tensor istft(const Complex& x, int64_t sequence_length, int64_t sequence_stride, int64_t fft_length, std::optional<int64_t> length,
             const Tensor& window, bool center = true);
Tensor logdet(const Tensor& x);
/// (…, 2) → (…): the last axis holds real and imaginary part.
Complex view_as_complex(const Tensor& x);
/// (…) → (…, 2).
Tensor view_as_real(const Complex& x);

}  // namespace keras::ops
