// What lives here: checkpoints of fit: what they hold, when they are written, and how a damaged or foreign one is found out.
#include "models/checkpoint.h"

#include <cxxabi.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <set>
#include <stdexcept>
#include <typeinfo>

#include <keras/base/warning.h>
#include <keras/random.h>

#include "io/json.h"
#include "io/npy.h"
#include "models/trainer.h"
#include "random/mersenne_twister.h"

namespace keras::models {

namespace fs = std::filesystem;
using callbacks::Callback;

namespace {

constexpr int kFormat = 1;
constexpr std::string_view kState = "state.json", kPrefix = "checkpoint-", kSuffix = ".npz";

// ---- settings

/// 64 bits over all bytes, eight lanes of eight at a time: several gigabytes a second. Against mix-ups, not against forgers.
uint64_t checksum(const void* data, size_t bytes) {
  constexpr uint64_t k1 = 0x9e3779b97f4a7c15, k2 = 0xd6e8feb86659fd93;
  constexpr size_t kLanes = 8;
  auto mix = [](uint64_t h, uint64_t v) { return std::rotl((h ^ v) * k1, 31); };
  uint64_t lanes[kLanes];
  for (size_t i = 0; i < kLanes; ++i) lanes[i] = k2 * (i + 1);
  const auto* p = static_cast<const std::byte*>(data);
  size_t at = 0;
  for (; at + 8 * kLanes <= bytes; at += 8 * kLanes)
    for (size_t i = 0; i < kLanes; ++i) {
      uint64_t v;
      std::memcpy(&v, p + at + 8 * i, 8);
      lanes[i] = mix(lanes[i], v);
    }
  uint64_t h = bytes * k2;
  for (uint64_t lane : lanes) h = mix(h, lane);
  for (; at < bytes; at += 8) {
    uint64_t v = 0;
    std::memcpy(&v, p + at, std::min<size_t>(8, bytes - at));
    h = mix(h, v);
  }
  h ^= h >> 32;
  h *= k2;
  return h ^ h >> 29;
}

std::string class_of(const Callback& c) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(typeid(c).name(), nullptr, nullptr, &status), std::free);
  std::string text = status == 0 ? name.get() : typeid(c).name();
  return text.starts_with("keras::callbacks::") ? text.substr(18) : text;
}

/// Lists of callbacks are what they hold.
std::vector<std::shared_ptr<Callback>> one_by_one(const std::vector<std::shared_ptr<Callback>>& given) {
  std::vector<std::shared_ptr<Callback>> out;
  for (const auto& c : given) {
    auto* list = dynamic_cast<const callbacks::CallbackList*>(c.get());
    if (!list) out.push_back(c);
    else
      for (const auto& inner : one_by_one(list->callbacks())) out.push_back(inner);
  }
  return out;
}

/// A configuration, or the class of what has none.
template <class F> Value described(F&& config) {
  try {
    return config();
  } catch (const Error&) {
    return "without a configuration";
  }
}

/// The first place where two values differ: its path, and both sides.
struct Difference {
  std::string path, before, now;
};
std::optional<Difference> difference(const Value& before, const Value& now, const std::string& path) {
  auto text = [](const Value& v) {
    std::string s = v.str();
    return s.size() > 200 ? s.substr(0, 200) + "…" : s;
  };
  auto inner = [&](const std::string& name) { return path.empty() ? name : path + "." + name; };
  if (before.is_dict() && now.is_dict()) {
    for (const auto& [k, v] : before.as_dict()) {
      const Value* other = now.as_dict().find(k);
      if (!other) return Difference{inner(k), text(v), "nothing"};
      if (auto d = difference(v, *other, inner(k))) return d;
    }
    for (const auto& [k, v] : now.as_dict())
      if (!before.as_dict().contains(k)) return Difference{inner(k), "nothing", text(v)};
    return std::nullopt;
  }
  if (before.is_list() && now.is_list()) {
    const List &a = before.as_list(), &b = now.as_list();
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
      if (auto d = difference(a[i], b[i], fmt::format("{}[{}]", path, i))) return d;
    if (a.size() != b.size()) return Difference{path, text(before), text(now)};
    return std::nullopt;
  }
  if (io::to_json(before) == io::to_json(now)) return std::nullopt;
  return Difference{path, text(before), text(now)};
}

/// Errors of reading what a checkpoint holds name its file.
template <class F> void about(const std::string& path, F&& f) {
  auto text = [&](const char* what) { return ErrorText{.what = std::string("the checkpoint can't be restored: ") + what, .where = path}.str(); };
  try {
    f();
  } catch (const Error& e) {
    if (std::string(e.what()).find(path) != std::string::npos) throw;
    throw ValueError(text(e.what()));
  } catch (const std::logic_error& e) {  // a list that is shorter than its meaning asks for
    throw ValueError(text(e.what()));
  }
}

// ---- arrays

io::Array array_of(const Tensor& t) {
  const auto* data = static_cast<const std::byte*>(t.raw());
  return io::Array(t.dtype(), t.shape(), io::Bytes(data, data + t.nbytes()));
}
Tensor tensor_of(const io::Array& a) {
  Tensor t = Tensor::empty(a.dtype, a.shape);
  if (!a.data.empty()) std::memcpy(t.mutable_raw(), a.data.data(), a.data.size());
  return t;
}
io::Array words_array(const std::vector<uint32_t>& w) { return io::Array(Shape{static_cast<int64_t>(w.size())}, w); }
std::vector<uint32_t> words_of(const io::Array& a) {
  auto w = a.as<uint32_t>();
  return {w.begin(), w.end()};
}

std::string hex(uint64_t sum) { return fmt::format("{:016x}", sum); }
std::string sum_of(const io::Array& a) { return hex(checksum(a.data.data(), a.data.size())); }

std::string variable_name(size_t i) { return fmt::format("variables/{}", i); }
std::string callback_name(size_t i, size_t k) { return fmt::format("callbacks/{}/{}", i, k); }

Value describe_variables(const std::vector<std::shared_ptr<core::VariableImpl>>& vars) {
  List l;
  for (const auto& v : vars) l.push_back(Dict{{"path", v->path}, {"dtype", Value(v->value.dtype())}, {"shape", Value(v->value.shape())}});
  return l;
}

Value items_value(const Logs::Items& items) {
  Dict d;
  for (const auto& [k, v] : items) d.set(k, v);
  return d;
}

}  // namespace

Value describe_data(const std::vector<Tensor>& arrays) {
  List out;
  for (const Tensor& t : arrays) {
    if (!t.defined()) out.push_back(Value());
    else out.push_back(Dict{{"dtype", Value(t.dtype())}, {"shape", Value(t.shape())}, {"checksum", hex(checksum(t.raw(), t.nbytes()))}});
  }
  return out;
}

Dict describe_fit(const FitOptions& o) {
  return Dict{{"batch_size", Value(o.batch_size)}, {"epochs", o.epochs}, {"initial_epoch", o.initial_epoch}, {"shuffle", static_cast<int>(o.shuffle.kind)},
              {"validation_split", o.validation_split}, {"validation_freq", o.validation_freq.every ? Value(o.validation_freq.every) : Value(o.validation_freq.epochs)}, {"steps_per_epoch", Value(o.steps_per_epoch)},
              {"validation_steps", Value(o.validation_steps)}, {"validation_batch_size", Value(o.validation_batch_size)}};
}

/// A checkpoint as it was read.
struct FitCheckpoint::Found {
  std::string path;
  Value state;
  io::Arrays arrays;
};

FitCheckpoint::FitCheckpoint(const CheckpointOptions& options, FitRun run) : o_(options), run_(std::move(run)) {
  run_.callbacks = one_by_one(run_.callbacks);
  if (o_.every_batches && *o_.every_batches < 1)
    throw ValueError(ErrorText{.what = "checkpoint: every_batches must be at least 1", .received = std::to_string(*o_.every_batches)}.str());
  if (o_.every_seconds && !(*o_.every_seconds >= 0))
    throw ValueError(ErrorText{.what = "checkpoint: every_seconds is negative", .received = fmt::format("{}", *o_.every_seconds)}.str());
  // The configuration is taken once per compile: later on it holds the learning rate as training has changed it.
  Trainer& t = run_.trainer;
  if (t.compiled_as.is_null()) t.compiled_as = described([&] { return Value(compile_config(t)); });
  Dict settings{{"model", described([&] {
                   Value saved = run_.model.impl()->serialize();
                   Dict d = saved.as_dict();
                   d.erase("compile_config");
                   return Value(d);
                 })},
                {"compile", t.compiled_as}};
  List classes;
  for (const auto& c : run_.callbacks) classes.push_back(class_of(*c));
  settings.set("callbacks", classes);
  for (const auto& [k, v] : run_.settings) settings.set(k, v);
  settings.set("settings", o_.settings);
  // As it looks when it has been to a file and back, so that both sides are compared alike.
  run_.settings = io::parse_json(io::to_json(settings), "checkpoint").as_dict();
  std::error_code failed;
  fs::create_directories(o_.directory, failed);
  if (!fs::is_directory(o_.directory)) throw RuntimeError(ErrorText{.what = "the folder for checkpoints can't be made: " + failed.message(), .where = o_.directory}.str());
  lock();
  read();
  last_ = Clock::now();
}

FitCheckpoint::~FitCheckpoint() = default;
FitCheckpoint::Lock::~Lock() {
  if (file >= 0) ::close(file);
}

std::string FitCheckpoint::file(int64_t number) const { return (fs::path(o_.directory) / fmt::format("{}{}{}", kPrefix, number % 2, kSuffix)).string(); }

void FitCheckpoint::lock() {
  std::string path = (fs::path(o_.directory) / "lock").string();
  lock_.file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_.file < 0) throw RuntimeError(ErrorText{.what = "the folder for checkpoints can't be written: " + std::generic_category().message(errno), .where = o_.directory}.str());
  // The lock ends with the process, however that ends. File systems without locks go unlocked.
  if (::flock(lock_.file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    throw RuntimeError(ErrorText{.what = "another run trains with this checkpoint at this moment", .where = o_.directory, .fix = "wait for it, or give another folder"}.str());
  // What a killed run was writing.
  std::error_code none;
  for (const auto& e : fs::directory_iterator(o_.directory, none)) {
    std::string name = e.path().filename().string();
    if (name.starts_with(kPrefix) && name.find(std::string(kSuffix) + ".tmp") != std::string::npos) fs::remove(e.path(), none);
  }
}

void FitCheckpoint::read() {
  struct Candidate {
    int64_t number;
    std::unique_ptr<Found> found;
  };
  std::vector<Candidate> whole;
  std::vector<std::string> problems;
  for (int64_t slot = 0; slot < 2; ++slot) {
    std::string path = file(slot);
    if (!fs::exists(path)) continue;
    try {
      auto found = std::make_unique<Found>();
      found->path = path;
      io::ZipReader zip(path);
      found->state = io::parse_json(zip.read_text(kState), path);
      if (int64_t format = found->state.get("format").as_int(); format != kFormat)
        throw ValueError(ErrorText{.what = "a checkpoint of another release of this library", .where = path, .expected = std::to_string(kFormat), .received = std::to_string(format)}.str());
      for (const io::ZipEntry& e : zip.entries())
        if (e.name.ends_with(".npy")) found->arrays.set(e.name.substr(0, e.name.size() - 4), io::parse_npy(zip.read(e.name), path + ": " + e.name));
      // The archive's own checksums leave out the names of its members.
      for (const auto& [name, sum] : found->state.get("arrays").as_dict())
        if (const io::Array* a = found->arrays.find(name); !a || Value(sum_of(*a)) != sum)
          throw ValueError(ErrorText{.what = "the array '" + name + "' is missing or damaged", .where = path}.str());
      whole.push_back({found->state.get("number").as_int(), std::move(found)});
    } catch (const Error& e) {
      problems.push_back(e.what());
    }
  }
  if (whole.empty()) {
    if (!problems.empty())
      throw RuntimeError(ErrorText{.what = fmt::format("no checkpoint in the folder can be read: {}", fmt::join(problems, "; ")), .where = o_.directory,
                                   .fix = "remove the folder to start again"}.str());
    return;
  }
  Candidate& newest = *std::max_element(whole.begin(), whole.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  for (const std::string& p : problems) warn("a damaged checkpoint is passed over: " + p);
  // The next file takes the place of the older or the damaged one, never of this.
  number_ = newest.number + 1;
  state_ = std::move(newest.found);
  const Value& s = state_->state;
  if (auto d = difference(s.get("settings"), Value(run_.settings), ""))
    throw ValueError(ErrorText{.what = "the checkpoint belongs to another run: " + d->path + " differs", .where = o_.directory, .expected = d->before + ", as when it was taken", .received = d->now,
                               .fix = "go on with the same model, data and options, or give another folder"}.str());
  about(state_->path, [&] {
    found_ = true;
    finished_ = s.get("finished").as_bool();
    const Value& p = s.get("position");
    position_ = {static_cast<int>(p.get("epoch").as_int()), p.get("begun").as_bool(), p.get("step").as_int(), p.get("at").as_int(), {}, {}};
    if (const io::Array* words = state_->arrays.find("random/pass")) position_.pass_seed = words_of(*words);
    for (const auto& [k, v] : s.get("last").as_dict()) position_.last.emplace_back(k, v.as_float());
  });
}

std::vector<std::shared_ptr<core::VariableImpl>> FitCheckpoint::variables() const {
  std::vector<std::shared_ptr<core::VariableImpl>> out;
  std::set<const core::VariableImpl*> seen;
  auto add = [&](const std::shared_ptr<core::VariableImpl>& v) {
    if (v && seen.insert(v.get()).second) out.push_back(v);
  };
  for (const Variable& v : run_.model.variables()) add(v.impl());
  for (const Variable& v : run_.trainer.optimizer->variables()) add(v.impl());
  for (const auto& m : run_.model.metrics())
    for (const Variable& v : m->variables()) add(v.impl());
  // States of recurrent layers, counters of a user's layer: whatever else a step reads or writes.
  if (step_)
    for (const auto& v : step_->states) add(v);
  return out;
}

void FitCheckpoint::resume_callbacks() {
  about(state_->path, [&] { resume_each_callback(); });
}
void FitCheckpoint::resume_each_callback() {
  const Value& s = state_->state;
  const List& states = s.get("callbacks").as_list();
  for (size_t i = 0; i < run_.callbacks.size(); ++i) {
    Tensors tensors;
    for (size_t k = 0, n = static_cast<size_t>(states.at(i).get("tensors").as_int()); k < n; ++k) tensors.push_back(tensor_of(state_->arrays.at(callback_name(i, k))));
    Callback& c = *run_.callbacks[i];
    const Value& value = states[i].get("state");
    if (!finished_) c.on_train_resume(value, tensors);
    else if (!value.is_null() || !tensors.empty()) c.set_state(value), c.set_state_tensors(tensors);
  }
  run_.history->set_state(s.get("history"));
}

void FitCheckpoint::restore(const core::Compiled* step) {
  step_ = step;
  about(state_->path, [&] { restore_variables(); });
}
void FitCheckpoint::restore_variables() {
  auto vars = variables();
  const List& saved = state_->state.get("variables").as_list();
  // Paths may hold counters of automatic names, which say nothing; kind and order do.
  if (saved.size() != vars.size())
    throw ValueError(ErrorText{.what = "the checkpoint holds another number of variables", .where = state_->path, .expected = std::to_string(vars.size()), .received = std::to_string(saved.size())}.str());
  for (size_t i = 0; i < vars.size(); ++i) {
    const io::Array& a = state_->arrays.at(variable_name(i));
    const Tensor& now = vars[i]->value;
    if (a.dtype != now.dtype() || a.shape != now.shape())
      throw ValueError(ErrorText{.what = "the checkpoint holds another variable", .where = fmt::format("{}, {}: {}", state_->path, variable_name(i), saved[i].get("path").str()),
                                 .expected = fmt::format("{} of shape {} for {}", dtype_name(now.dtype()), now.shape().str(), vars[i]->path), .received = fmt::format("{} of shape {}", dtype_name(a.dtype), a.shape.str())}.str());
  }
  for (size_t i = 0; i < vars.size(); ++i)
    if (const io::Array& a = state_->arrays.at(variable_name(i)); !a.data.empty()) std::memcpy(vars[i]->writable(), a.data.data(), a.data.size());
  run_.trainer.stop_training = state_->state.get("stop_training").as_bool();
  restore_random();
}

void FitCheckpoint::restore_random() const {
  random::State r;
  r.python = words_of(state_->arrays.at("random/python"));
  r.numpy = words_of(state_->arrays.at("random/numpy"));
  if (const io::Array* words = state_->arrays.find("random/global_seed_generator")) {
    auto w = words->as<uint32_t>();
    if (w.size() != 2) throw ValueError("random/global_seed_generator holds " + std::to_string(w.size()) + " words, not 2");
    r.global_seed_generator = {w[0], w[1]};
  }
  if (const Value& seed = state_->state.get("random_seed"); seed.is_int()) r.random_seed = seed.as_int();
  random::set_state(r);
}

void FitCheckpoint::moved(const FitPosition& position, bool batch) {
  since_ += batch;
  if (o_.every_batches && since_ >= *o_.every_batches) return write(position);
  if (o_.every_batches && !o_.every_seconds) return;
  // Unless told otherwise at most two hundredths of the time go into checkpoints.
  constexpr std::chrono::seconds kApart{5};
  auto apart = o_.every_seconds ? std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(*o_.every_seconds)) : std::max<Clock::duration>(kApart, cost_ * 50);
  if (Clock::now() - last_ >= apart) write(position);
}

void FitCheckpoint::write(const FitPosition& p, bool finished) {
  Clock::time_point start = Clock::now();
  io::ZipWriter zip;
  Dict sums;
  auto put = [&](const std::string& name, const io::Array& array) {
    sums.set(name, sum_of(array));
    zip.add(name + ".npy", io::npy_bytes(array));
  };
  auto vars = variables();
  for (size_t i = 0; i < vars.size(); ++i) put(variable_name(i), array_of(vars[i]->value));
  random::State r = random::get_state();
  put("random/python", words_array(r.python));
  put("random/numpy", words_array(r.numpy));
  if (r.global_seed_generator) put("random/global_seed_generator", words_array({(*r.global_seed_generator)[0], (*r.global_seed_generator)[1]}));
  if (!p.pass_seed.empty()) put("random/pass", words_array(p.pass_seed));
  List callbacks;
  for (size_t i = 0; i < run_.callbacks.size(); ++i) {
    Tensors tensors = run_.callbacks[i]->get_state_tensors();
    for (size_t k = 0; k < tensors.size(); ++k) put(callback_name(i, k), array_of(tensors[k]));
    callbacks.push_back(Dict{{"state", run_.callbacks[i]->get_state()}, {"tensors", tensors.size()}});
  }
  Dict state{{"format", kFormat},
             {"number", number_},
             {"finished", finished},
             {"position", Dict{{"epoch", p.epoch}, {"begun", p.begun}, {"step", p.step}, {"at", p.at}}},
             {"last", items_value(p.last)},
             {"stop_training", run_.trainer.stop_training},
             {"random_seed", Value(r.random_seed)},
             {"settings", run_.settings},
             {"variables", describe_variables(vars)},
             {"callbacks", callbacks},
             {"history", run_.history->get_state()},
             {"arrays", sums}};
  zip.add_text(std::string(kState), io::to_json(state));
  zip.write(file(number_));
  ++number_;
  since_ = 0;
  last_ = Clock::now();
  cost_ = last_ - start;
}

}  // namespace keras::models
