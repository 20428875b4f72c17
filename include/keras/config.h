// What lives here: keras.config, the settings of the process: the default float, the small number against division by zero, the
// default layout of images, limits for quick runs. They are read when a layer, an op or a training run begins, never in a compiled step.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include <keras/base/dtype.h>

namespace keras::config {

/// "keras-cpp".
std::string backend();
/// Accepts the name that `backend()` gives, there is no other; ValueError otherwise.
void set_backend(const std::string& name);

/// The default float of tensors made from numbers, of layers, losses, metrics and random draws: "float32" at the start.
std::string floatx();
/// "bfloat16", "float16", "float32" or "float64"; ValueError otherwise. What exists keeps its dtype, and so does the dtype policy once a
/// layer was made by it (see `set_dtype_policy`).
void set_floatx(const std::string& name);
/// `floatx` as a DType.
DType floatx_dtype();

/// The small number that losses, metrics and constraints keep logarithms and quotients finite with: 1e-7 at the start.
double epsilon();
void set_epsilon(double value);

/// What a layer or op takes `data_format` to be when it is not given: "channels_last" at the start.
std::string image_data_format();
/// "channels_last" or "channels_first"; ValueError otherwise. Layers made before keep theirs.
void set_image_data_format(const std::string& data_format);

/// The policy of layers made from now on: "float32", "float64", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16". ValueError on
/// another name.
void set_dtype_policy(const std::string& policy);
/// The policy in force. Where none was set it is `floatx`, and stays it from the first time that it was asked for, as in Keras.
const std::string& dtype_policy();

/// Accepted; there is one implementation of attention. nullopt where neither was called, as in Keras.
void enable_flash_attention();
void disable_flash_attention();
std::optional<bool> is_flash_attention_enabled();

/// Whether progress, summaries and the sentences of callbacks go to standard output; disabled, to standard error.
void enable_interactive_logging();
void disable_interactive_logging();
bool is_interactive_logging_enabled();

/// Accepted; errors of this library have no frames of the inside.
void enable_traceback_filtering();
void disable_traceback_filtering();
bool is_traceback_filtering_enabled();

/// Accepted: loading never runs code, whatever is asked for, so nothing becomes possible by it.
void enable_unsafe_deserialization();
/// False: there is no NNX here.
bool is_nnx_enabled();

/// Limits on what `fit`, `evaluate` and `predict` do, for a quick run of a long program; nullopt for none. They start with the environment's
/// KERAS_MAX_EPOCHS and KERAS_MAX_STEPS_PER_EPOCH.
std::optional<int64_t> max_epochs();
void set_max_epochs(std::optional<int64_t> epochs);
std::optional<int64_t> max_steps_per_epoch();
void set_max_steps_per_epoch(std::optional<int64_t> steps);

/// What `clear_session` does to the settings: the dtype policy and the switches as at the start; floatx, epsilon, layout and limits stay.
void clear_session();

}  // namespace keras::config
