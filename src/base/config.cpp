// What lives here: the settings of the process. Reading one takes no lock, except for the name of the policy.
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <mutex>

#include <keras/base/error.h>
#include <keras/config.h>
#include <keras/dtype_policies.h>

namespace keras::config {

namespace {

constexpr int64_t kNoLimit = -1;

int64_t limit_from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (!text || !*text) return kNoLimit;
  char* end = nullptr;
  errno = 0;
  long long value = std::strtoll(text, &end, 10);
  if (errno || *end)
    throw ValueError(ErrorText{.what = std::string("the environment variable ") + name + " is no whole number", .received = text}.str());
  return value;
}

std::atomic<DType> g_floatx{DType::Float32};
std::atomic<double> g_epsilon{1e-7};
std::atomic<bool> g_channels_last{true}, g_interactive{true}, g_filtering{true};
std::atomic<signed char> g_flash{-1};

// Made at the first use: an environment variable that can't be read is an error that can be caught.
std::atomic<int64_t>& epochs_limit() {
  static std::atomic<int64_t> limit{limit_from_environment("KERAS_MAX_EPOCHS")};
  return limit;
}
std::atomic<int64_t>& steps_limit() {
  static std::atomic<int64_t> limit{limit_from_environment("KERAS_MAX_STEPS_PER_EPOCH")};
  return limit;
}
// Keras takes 0 for no limit.
std::optional<int64_t> as_limit(int64_t n) { return n > 0 ? std::optional<int64_t>(n) : std::nullopt; }
int64_t checked(std::optional<int64_t> n, const char* what) {
  if (n && *n < 0) throw ValueError(ErrorText{.what = std::string(what) + " is negative", .expected = "a count, or nullopt for no limit", .received = std::to_string(*n)}.str());
  return n.value_or(kNoLimit);
}

// References to names are handed out, so a name that was in force is never freed.
struct Policies {
  std::mutex mutex;
  std::deque<std::string> names;
  std::atomic<const std::string*> current{nullptr};
  const std::string* add(const std::string& name) {
    for (const std::string& n : names)
      if (n == name) return &n;
    return &names.emplace_back(name);
  }
};
Policies& policies() {
  static Policies* p = new Policies;
  return *p;
}

}  // namespace

std::string backend() { return "keras-cpp"; }
void set_backend(const std::string& name) {
  if (name != backend())
    throw ValueError(ErrorText{.what = "there is no such backend" + did_you_mean(name, {backend()}), .expected = backend(), .received = name}.str());
}

std::string floatx() { return dtype_name(g_floatx); }
DType floatx_dtype() { return g_floatx; }
void set_floatx(const std::string& name) {
  for (DType d : {DType::BFloat16, DType::Float16, DType::Float32, DType::Float64})
    if (name == dtype_name(d)) {
      g_floatx = d;
      return;
    }
  throw ValueError(ErrorText{.what = "unknown floatx" + did_you_mean(name, {"bfloat16", "float16", "float32", "float64"}),
                             .expected = "bfloat16, float16, float32 or float64", .received = name}.str());
}

double epsilon() { return g_epsilon; }
void set_epsilon(double value) { g_epsilon = value; }

std::string image_data_format() { return g_channels_last ? "channels_last" : "channels_first"; }
void set_image_data_format(const std::string& data_format) {
  if (data_format != "channels_last" && data_format != "channels_first")
    throw ValueError(ErrorText{.what = "unknown data_format" + did_you_mean(data_format, {"channels_last", "channels_first"}),
                               .expected = "channels_last or channels_first", .received = data_format}.str());
  g_channels_last = data_format == "channels_last";
}

void set_dtype_policy(const std::string& policy) {
  dtype_policies::policy_dtypes(policy);
  std::lock_guard lock(policies().mutex);
  policies().current = policies().add(policy);
}
const std::string& dtype_policy() {
  Policies& p = policies();
  if (const std::string* name = p.current) return *name;
  std::lock_guard lock(p.mutex);
  if (!p.current.load()) p.current = p.add(floatx());
  return *p.current.load();
}

void enable_flash_attention() { g_flash = -1; }
void disable_flash_attention() { g_flash = 0; }
std::optional<bool> is_flash_attention_enabled() { return g_flash < 0 ? std::nullopt : std::optional<bool>(g_flash != 0); }

void enable_interactive_logging() { g_interactive = true; }
void disable_interactive_logging() { g_interactive = false; }
bool is_interactive_logging_enabled() { return g_interactive; }

void enable_traceback_filtering() { g_filtering = true; }
void disable_traceback_filtering() { g_filtering = false; }
bool is_traceback_filtering_enabled() { return g_filtering; }

void enable_unsafe_deserialization() {}
bool is_nnx_enabled() { return false; }

std::optional<int64_t> max_epochs() { return as_limit(epochs_limit()); }
void set_max_epochs(std::optional<int64_t> epochs) { epochs_limit() = checked(epochs, "max_epochs"); }
std::optional<int64_t> max_steps_per_epoch() { return as_limit(steps_limit()); }
void set_max_steps_per_epoch(std::optional<int64_t> steps) { steps_limit() = checked(steps, "max_steps_per_epoch"); }

void clear_session() {
  g_flash = -1;
  g_interactive = true;
  g_filtering = true;
  std::lock_guard lock(policies().mutex);
  policies().current = nullptr;
}

}  // namespace keras::config
