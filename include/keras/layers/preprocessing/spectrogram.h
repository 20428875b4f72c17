// What lives here: the layers that turn sound into frequencies: STFTSpectrogram, MelSpectrogram.
#pragma once
#include <keras/layers/layer.h>

namespace keras::layers {

struct STFTSpectrogramOptions {
  int64_t frame_length = 256;
  /// Default: half of the frame length.
  std::optional<int64_t> frame_step{};
  /// Default: the next power of two.
  std::optional<int64_t> fft_length{};
  /// A name of scipy.signal's windows, numbers, or null for none.
  Value window = "hann";
  bool periodic = false;
  /// "density", "spectrum" or nothing.
  std::optional<std::string> scaling = "density";
  /// "valid" or "same".
  std::string padding = "valid";
  /// A channel axis of its own: (batch, time, frequency, channels).
  bool expand_dims = false;
  std::optional<std::string> data_format{};
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(frame_length, frame_step, fft_length, window, periodic, scaling, padding, expand_dims, data_format)
};
/// Keras' STFTSpectrogram: (batch, time, channels) → (batch, frames, frequencies * channels), by kernels that are trained like weights.
/// `mode`: "log", "magnitude", "psd", "real", "imag", "angle", "stft" (real and imaginary parts side by side).
class STFTSpectrogram : public Layer {
 public:
  explicit STFTSpectrogram(const std::string& mode = "log", const STFTSpectrogramOptions& options = {});
  static Layer from_config(const Dict& config);
};

struct MelSpectrogramOptions {
  int64_t fft_length = 2048, sequence_stride = 512;
  /// Default: the FFT length.
  std::optional<int64_t> sequence_length{};
  /// "hann", "hamming", numbers, or null for none.
  Value window = "hann";
  int64_t sampling_rate = 16000, num_mel_bins = 128;
  /// In hertz; the greatest is half of the sampling rate by default.
  Value min_freq = 20.0, max_freq{};
  bool power_to_db = true;
  double top_db = 80.0, mag_exp = 2.0, min_power = 1e-10, ref_power = 1.0;
  KERAS_LAYER_OPTIONS
  KERAS_FIELDS(fft_length, sequence_stride, sequence_length, window, sampling_rate, num_mel_bins, min_freq, max_freq, power_to_db, top_db,
               mag_exp, min_power, ref_power)
};
/// Keras' MelSpectrogram: (time) or (batch, time) → (…, num_mel_bins, frames), in decibels unless `power_to_db` is false.
class MelSpectrogram : public Layer {
 public:
  explicit MelSpectrogram(const MelSpectrogramOptions& options = {});
  static Layer from_config(const Dict& config);
};

}  // namespace keras::layers
