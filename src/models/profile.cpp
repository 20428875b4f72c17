// What lives here: profile: runs, what was measured by layer and by kernel, tables, and the trace for Chrome.
#include <keras/models/profile.h>

#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>

#include "cpu/peak.h"
#include "engine/profile.h"
#include "models/example_data.h"
#include "models/functional.h"
#include "models/measure.h"
#include "models/trainer.h"

namespace keras::models {

namespace {

using ProfileClock = std::chrono::steady_clock;

double milliseconds_since(ProfileClock::time_point start) {
  return std::chrono::duration<double>(ProfileClock::now() - start).count() * 1e3;
}

/// The compiled step with memory for its inputs and outputs, and the states as they were.
class MeasuredStep {
 public:
  MeasuredStep(const core::Compiled& step, const Tensors& inputs) : step_(step), inputs_(inputs) {
    for (const Tensor& t : inputs_) in_.push_back(const_cast<void*>(t.raw()));
    for (const ir::Type& t : step_.outputs)
      results_.push_back(Tensor::empty(t.dtype, t.shape)), out_.push_back(results_.back().mutable_raw());
    for (size_t i = 0; i < step_.states.size(); ++i)
      if (step_.updated[i]) {
        const Tensor& v = step_.states[i]->value;
        before_.emplace_back(i, Tensor::from_bytes(v.raw(), static_cast<size_t>(v.numel()), v.dtype(), v.shape()));
      }
  }
  ~MeasuredStep() {
    for (auto& [i, value] : before_) {
      core::VariableImpl& v = *step_.states[i];
      std::memcpy(v.writable(), value.raw(), static_cast<size_t>(value.numel()) * dtype_size(value.dtype()));
    }
  }
  void run() { step_.run(in_.data(), out_.data()); }
  const engine::Executable& plan() const { return *step_.exe; }

 private:
  const core::Compiled& step_;
  Tensors inputs_, results_;
  std::vector<void*> in_, out_;
  std::vector<std::pair<size_t, Tensor>> before_;
};

struct MeasuringOn {
  const bool before = engine::profiling();
  MeasuringOn() { engine::set_profiling(true); }
  ~MeasuringOn() { engine::set_profiling(before); }
};

/// What several steps took together.
struct Sum {
  double seconds = 0, calls = 0;
  ir::Cost cost;
  void add(const engine::StepProfile& r) { seconds += r.seconds, calls += r.calls, cost += r.cost; }
};

const char* pass_of(const engine::StepProfile& r) {
  if (!r.origin) return "";
  return r.origin->again ? "again" : r.origin->gradient ? "backward" : "forward";
}
std::string layer_of(const engine::StepProfile& r, const std::string& model) {
  if (!r.origin) return "";
  const std::string path = layer_path(r.origin->name, model);
  return path.substr(0, path.find('/'));
}
/// For one step of the model, after `runs` of them.
Dict entry(const Sum& s, double runs, double total, const cpu::Peak& peak) {
  return Dict{{"ms", s.seconds / runs * 1e3},
              {"share", total > 0 ? s.seconds / total : 0.0},
              {"flops", s.cost.flops / runs},
              {"bytes", s.cost.bytes / runs},
              {"gflops_per_s", s.seconds > 0 ? s.cost.flops / s.seconds * 1e-9 : 0.0},
              {"gbytes_per_s", s.seconds > 0 ? s.cost.bytes / s.seconds * 1e-9 : 0.0},
              {"of_peak", s.seconds > 0 ? s.cost.flops / s.seconds / peak.flops : 0.0},
              {"of_memory", s.seconds > 0 ? s.cost.bytes / s.seconds / peak.bytes : 0.0}};
}

std::string quoted(const std::string& s) {
  std::string out = "\"";
  for (char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

void write_trace(const std::string& path, std::vector<engine::StepEvent> events, const std::string& model) {
  std::ofstream file(path);
  if (!file) throw ValueError(ErrorText{.what = "the trace can't be written", .received = path}.str());
  std::sort(events.begin(), events.end(), [](const auto& a, const auto& b) { return a.start < b.start; });
  const int64_t begin = events.empty() ? 0 : events.front().start;
  file << "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n";
  for (size_t i = 0; i < events.size(); ++i) {
    const engine::StepEvent& e = events[i];
    const engine::StepProfile r = e.plan->step_profile(e.step);
    const std::string layer = r.origin ? layer_path(r.origin->name, model) : "";
    const double calls = std::max(r.calls, 1.0);
    file << fmt::format(
        "{{\"name\": {}, \"cat\": {}, \"ph\": \"X\", \"ts\": {:.3f}, \"dur\": {:.3f}, \"pid\": 1, \"tid\": {}, \"args\": {{\"layer\": {}, "
        "\"types\": {}, \"kernel\": {}, \"flops\": {:.0f}, \"bytes\": {:.0f}}}}}{}\n",
        quoted(layer.empty() ? r.primitive : layer + " " + r.primitive), quoted(*pass_of(r) ? pass_of(r) : "step"),
        1e-3 * static_cast<double>(e.start - begin), 1e-3 * static_cast<double>(e.nanoseconds), e.thread, quoted(layer), quoted(r.types),
        quoted(r.kernel), r.cost.flops / calls, r.cost.bytes / calls, i + 1 < events.size() ? "," : "");
  }
  file << "]}\n";
  if (!file.flush()) throw RuntimeError("the trace could not be written: " + path);
}

Dict measure(const Model& model, const core::Compiled& compiled, const Tensors& data, const ProfileOptions& o, int64_t rows) {
  MeasuredStep step(compiled, data);
  for (int i = 0; i < 3; ++i) step.run();
  const cpu::Peak peak = cpu::measure_peak();
  std::vector<double> times;
  for (auto begin = ProfileClock::now(); times.size() < 3 || (milliseconds_since(begin) < o.seconds * 500 && times.size() < 100000);) {
    const auto start = ProfileClock::now();
    step.run();
    times.push_back(milliseconds_since(start));
  }
  std::sort(times.begin(), times.end());
  const engine::Executable& plan = step.plan();
  MeasuringOn on;
  step.run();
  plan.reset_profile();
  double runs = 0;
  for (auto begin = ProfileClock::now(); runs < 3 || (milliseconds_since(begin) < o.seconds * 500 && runs < 100000); ++runs) step.run();
  const std::vector<engine::StepProfile> rows_of_plan = plan.profile();
  if (!o.trace.empty()) {
    engine::start_events();
    step.run();
    write_trace(o.trace, engine::take_events(), model.name());
  }

  Sum all;
  std::vector<std::pair<std::pair<std::string, std::string>, Sum>> layers;  // in the order of the plan
  std::vector<std::pair<const engine::StepProfile*, Sum>> kernels;
  for (const engine::StepProfile& r : rows_of_plan) {
    if (r.calls == 0) continue;
    all.add(r);
    const std::pair<std::string, std::string> key{layer_of(r, model.name()), pass_of(r)};
    auto layer = std::find_if(layers.begin(), layers.end(), [&](const auto& l) { return l.first == key; });
    if (layer == layers.end()) layer = layers.insert(layers.end(), {key, {}});
    layer->second.add(r);
    kernels.push_back({&r, {}});
    kernels.back().second.add(r);
  }
  List by_layer, by_kernel;
  for (const auto& [key, sum] : layers) {
    Dict d{{"layer", key.first}, {"pass", key.second}};
    for (const auto& [k, v] : entry(sum, runs, all.seconds, peak)) d.set(k, v);
    by_layer.push_back(d);
  }
  for (const auto& [r, sum] : kernels) {
    List others;
    if (r->origin)
      for (const std::string& name : r->origin->others) others.push_back(layer_path(name, model.name()));
    Dict d{{"primitive", r->primitive},
           {"inside", r->inside},
           {"layer", r->origin ? layer_path(r->origin->name, model.name()) : std::string()},
           {"fused_in", others},
           {"pass", pass_of(*r)},
           {"types", r->types},
           {"kernel", r->kernel},
           {"calls", sum.calls / runs}};
    for (const auto& [k, v] : entry(sum, runs, all.seconds, peak)) d.set(k, v);
    by_kernel.push_back(d);
  }
  Sum whole = all;
  whole.seconds = times[times.size() / 2] * 1e-3 * runs;
  Dict of_step = entry(whole, runs, whole.seconds, peak);
  of_step.erase("share");
  of_step.set("memory_bytes", static_cast<int64_t>(plan.memory_bytes()));
  return Dict{{"model", model.name()},
              {"mode", o.mode},
              {"batch_size", rows},
              {"threads", int64_t{peak.threads}},
              {"peak", Dict{{"gflops_per_s", peak.flops * 1e-9}, {"gbytes_per_s", peak.bytes * 1e-9}}},
              {"step", of_step},
              {"layers", by_layer},
              {"kernels", by_kernel}};
}

std::string count_text(double n) {
  const char* units[] = {"", "k", "M", "G", "T", "P"};
  size_t u = 0;
  while (n >= 999.5 && u + 1 < std::size(units)) n /= 1000, ++u;
  return u == 0 ? fmt::format("{:.0f}", n) : fmt::format("{:.3g} {}", n, units[u]);
}

std::string table_line(const Dict& d, const std::string& name) {
  auto f = [&](const char* key) { return d.at(key).as_float(); };
  return fmt::format("{:9.3f} {:5.1f} %  {:>8} {:7.1f} {:4.0f} %  {:>8}B {:7.1f} {:4.0f} %  {}\n", f("ms"), 100 * f("share"),
                     count_text(f("flops")), f("gflops_per_s"), 100 * f("of_peak"), count_text(f("bytes")), f("gbytes_per_s"),
                     100 * f("of_memory"), name);
}

}  // namespace

Dict profile(const Model& given, const ProfileOptions& o) {
  if (o.mode != "forward" && o.mode != "train")
    throw ValueError(ErrorText{.what = "the mode of a profile is unknown", .expected = "forward or train", .received = o.mode}.str());
  if (o.batch_size < 0) throw ValueError(ErrorText{.what = "a batch has at least one row", .received = std::to_string(o.batch_size)}.str());
  Model& model = subject_of(given);
  const bool train = o.mode == "train";
  const int64_t rows = o.batch_size ? o.batch_size : train ? 32 : 1;
  if (train) need_trainer(model, "profile");
  std::mt19937 rng(1);
  Tensors data = example_inputs(model, rows, rng);
  if (!train) {
    const data::Signature s = signature_of(data, {});
    return measure(model, model.model_impl().predict_step(s.types), data, o, rows);
  }
  const Tensors y = example_targets(model, rows, rng);
  const data::Signature s = signature_of(data, y);
  data.insert(data.end(), y.begin(), y.end());
  return measure(model, *step_for(model, need_trainer(model, "profile"), s, true).compiled, data, o, rows);
}

std::string profile_text(const Dict& p) {
  const Dict &step = p.at("step").as_dict(), &peak = p.at("peak").as_dict();
  auto f = [](const Dict& d, const char* key) { return d.at(key).as_float(); };
  std::string s = fmt::format("{}: {}, batch {}, {} threads\n", p.at("model").as_string(), p.at("mode").as_string(),
                              p.at("batch_size").as_int(), p.at("threads").as_int());
  s += fmt::format(
      "a step: {:.3f} ms, {}FLOP, {:.1f} GFLOP/s ({:.0f} % of this CPU's {:.1f}), {:.1f} GB/s ({:.0f} % of the {:.1f} of its memory)\n",
      f(step, "ms"), count_text(f(step, "flops")), f(step, "gflops_per_s"), 100 * f(step, "of_peak"), f(peak, "gflops_per_s"),
      f(step, "gbytes_per_s"), 100 * f(step, "of_memory"), f(peak, "gbytes_per_s"));
  s += fmt::format("its memory: {}B\n", count_text(static_cast<double>(step.at("memory_bytes").as_int())));
  const std::string header = "       ms   share      FLOP    GF/s   peak     bytes    GB/s    mem  ";
  s += "\n" + header + "layer\n";
  for (const Value& v : p.at("layers").as_list()) {
    const Dict& d = v.as_dict();
    const std::string &layer = d.at("layer").as_string(), &pass = d.at("pass").as_string();
    s += table_line(d, (layer.empty() ? "-" : layer) + (pass.empty() || pass == "forward" ? "" : ", " + pass));
  }
  s += "\n" + header + "kernel\n";
  List kernels = p.at("kernels").as_list();
  std::stable_sort(kernels.begin(), kernels.end(),
                   [&](const Value& a, const Value& b) { return f(a.as_dict(), "ms") > f(b.as_dict(), "ms"); });
  size_t left = 0;
  double rest = 0;
  for (const Value& v : kernels) {
    const Dict& d = v.as_dict();
    if (f(d, "share") < 0.005) {
      ++left, rest += f(d, "ms");
      continue;
    }
    std::string name = d.at("primitive").as_string();
    if (const std::string& inside = d.at("inside").as_string(); !inside.empty()) name = inside + "/" + name;
    if (const std::string& layer = d.at("layer").as_string(); !layer.empty()) name += " of " + layer;
    for (const Value& o : d.at("fused_in").as_list()) name += " + " + o.as_string();
    if (const std::string& pass = d.at("pass").as_string(); !pass.empty() && pass != "forward") name += ", " + pass;
    name += "  " + d.at("types").as_string();
    if (const std::string& kernel = d.at("kernel").as_string(); !kernel.empty()) name += "  # " + kernel;
    s += table_line(d, name);
  }
  if (left) s += fmt::format("{:9.3f}          in {} others, each below half a percent\n", rest, left);
  return s;
}

}  // namespace keras::models
