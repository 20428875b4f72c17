// What lives here: the progress bar, as Keras draws it on a terminal; elsewhere one plain line per epoch.
#include "base/message.h"
#include "models/progbar.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <optional>

namespace keras::models {

namespace {

using Clock = std::chrono::steady_clock;

std::string step_time(double seconds) {
  if (seconds >= 1 || seconds == 0) return fmt::format(" {:.0f}s/step", seconds);
  if (seconds >= 1e-3) return fmt::format(" {:.0f}ms/step", seconds * 1e3);
  return fmt::format(" {:.0f}us/step", seconds * 1e6);
}

class Progbar : public callbacks::Callback {
 public:
  explicit Progbar(int verbose) : verbose_(verbose), out_(message_stream()), terminal_(isatty(fileno(out_))) {}

  void set_params(const CallbackParams& params) override {
    Callback::set_params(params);
    verbose_ = params.verbose;
    target_ = params.steps;
  }
  // In fit validation is silent.
  void on_train_begin(Logs&) override { training_ = true; }
  void on_train_end(Logs&) override { training_ = false; }
  /// The epoch that was interrupted, and how many of its batches are done.
  void set_state(const Value& state) override {
    if (params_.epochs > 1) fmt::print(out_, "Epoch {}/{}\n", state.get("epoch").as_int() + 1, params_.epochs);
    begin();
    seen_ = state.get("seen").as_int();
  }
  void on_epoch_begin(int epoch, Logs&) override {
    if (verbose_ > 0 && params_.epochs > 1) fmt::print(out_, "Epoch {}/{}\n", epoch + 1, params_.epochs);
    begin();
  }
  void on_train_batch_end(int64_t batch, Logs& logs) override { moved(batch + 1, logs); }
  void on_epoch_end(int, Logs& logs) override { finish(logs); }
  void on_test_begin(Logs&) override {
    if (!training_) begin();
  }
  void on_test_batch_end(int64_t batch, Logs& logs) override {
    if (!training_) moved(batch + 1, logs);
  }
  void on_test_end(Logs& logs) override {
    if (!training_) finish(logs);
  }
  void on_predict_begin(Logs&) override { begin(); }
  void on_predict_batch_end(int64_t batch, Logs& logs) override { moved(batch + 1, logs); }
  void on_predict_end(Logs& logs) override { finish(logs); }

 private:
  bool live() const { return terminal_ && verbose_ == 1; }
  void begin() {
    start_ = last_ = Clock::now();
    after_first_.reset();
    seen_ = 0;
    width_ = 0;
  }
  void moved(int64_t seen, Logs& logs) {
    seen_ = seen;
    Clock::time_point now = Clock::now();
    if (seen == 1) after_first_ = now;
    // Drawing is rare; the numbers are only computed when they are drawn.
    if (!live() || seen == target_ || now - last_ < std::chrono::milliseconds(50)) return;
    last_ = now;
    draw(logs, false);
  }
  void finish(Logs& logs) {
    // A length that nobody knew is known after an epoch.
    if (target_ == 0) target_ = seen_;
    seen_ = target_;
    if (verbose_ > 0) draw(logs, true);
  }
  /// The first step holds tracing and planning, so it is left out where there are more.
  double seconds_per_step(Clock::time_point now) const {
    auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
    if (seen_ == 0) return 0;
    if (after_first_ && seen_ > 1) return seconds(now - *after_first_) / static_cast<double>(seen_ - 1);
    return seconds(now - start_) / static_cast<double>(seen_);
  }

  void draw(const Logs& logs, bool last) {
    Clock::time_point now = Clock::now();
    double elapsed = std::chrono::duration<double>(now - start_).count(), per_step = seconds_per_step(now);
    int64_t target = std::max<int64_t>(target_, 1);
    int digits = static_cast<int>(std::log10(static_cast<double>(target))) + 1;
    bool live_ = live();
    std::string line;
    auto bold = [&](const std::string& s) { return live_ ? "\x1b[1m" + s + "\x1b[0m" : s; };
    size_t invisible = 0;
    std::string count = fmt::format("{:{}}/{}", seen_, digits, target);
    if (verbose_ == 1 && target_ == 0) {
      line = fmt::format("{:7}/Unknown ", seen_) + bold(fmt::format("{:.0f}s", elapsed)) + step_time(per_step);
      if (live_) invisible += 8;
    } else if (verbose_ == 1) {
      int done = static_cast<int>(20.0 * static_cast<double>(seen_) / static_cast<double>(target));
      done = std::min(done, 20);
      std::string full, rest;
      for (int i = 0; i < done; ++i) full += "━";
      for (int i = done; i < 20; ++i) rest += "━";
      line = bold(count) + " " + (live_ ? "\x1b[32m" + full + "\x1b[0m\x1b[37m" + rest + "\x1b[0m" : full + rest);
      if (live_) invisible += 8 + 18;
      invisible += 2 * 20;  // three bytes draw one column
      double eta = per_step * static_cast<double>(target - seen_);
      std::string time;
      if (last) time = fmt::format("{:.0f}s", elapsed);
      else if (eta > 3600) time = fmt::format("{}:{:02}:{:02}", static_cast<int>(eta) / 3600, static_cast<int>(eta) % 3600 / 60, static_cast<int>(eta) % 60);
      else if (eta > 60) time = fmt::format("{}:{:02}", static_cast<int>(eta) / 60, static_cast<int>(eta) % 60);
      else time = fmt::format("{}s", static_cast<int>(eta));
      line += " " + bold(time) + step_time(per_step);
      if (live_) invisible += 8;
    } else {
      if (!last) return;
      line = fmt::format("{} - {:.0f}s -{}", count, elapsed, step_time(per_step));
    }
    for (const auto& [name, value] : logs.items())
      line += std::abs(value) > 1e-3 ? fmt::format(" - {}: {:.4f}", name, value) : fmt::format(" - {}: {:.4e}", name, value);
    size_t width = line.size() - std::min(invisible, line.size());
    std::string tail = width < width_ ? std::string(width_ - width, ' ') : "";
    width_ = width;
    fmt::print(out_, "{}{}{}{}", live_ ? "\r" : "", line, live_ ? tail : "", last ? "\n" : "");
    std::fflush(out_);
  }

  int verbose_;
  std::FILE* out_;
  bool terminal_, training_ = false;
  Clock::time_point start_, last_;
  std::optional<Clock::time_point> after_first_;
  int64_t target_ = 0;  // steps of an epoch; 0: unknown
  int64_t seen_ = 0;
  size_t width_ = 0;
};

}  // namespace

bool is_progbar(const callbacks::Callback& callback) { return dynamic_cast<const Progbar*>(&callback) != nullptr; }
std::shared_ptr<callbacks::Callback> make_progbar(int verbose) { return std::make_shared<Progbar>(verbose); }

}  // namespace keras::models
