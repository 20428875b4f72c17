// What lives here: feeds over arrays, generators and datasets; the threads that work ahead of a source.
#include "data/feed.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <mutex>
#include <numeric>
#include <thread>

#include <keras/random.h>

#include "random/mersenne_twister.h"

namespace keras {

Arrays::Arrays(const Tensor& t) {
  if (t.defined()) values.push_back(t);
}
Arrays::Arrays(std::initializer_list<std::pair<const std::string, Tensor>> named) {
  for (const auto& [n, t] : named) names.push_back(n), values.push_back(t);
}
Arrays::Arrays(const std::map<std::string, Tensor>& named) {
  for (const auto& [n, t] : named) names.push_back(n), values.push_back(t);
}
Batch::Batch(Arrays x, Arrays y, Arrays sample_weight) : x(std::move(x)), y(std::move(y)), sample_weight(std::move(sample_weight)) {}
const Tensor& Arrays::operator[](const std::string& name) const {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return values[i];
  throw ValueError(ErrorText{.what = "there is no array \"" + name + "\"" + did_you_mean(name, names), .expected = names.empty() ? "arrays that came by name" : fmt::format("one of {}", fmt::join(names, ", "))}.str());
}

// ---- generators
struct BatchGenerator::State {
  Next next;
  int64_t prefetch = 0;
};
BatchGenerator::BatchGenerator(Next next) : state_(std::make_shared<State>()) {
  if (!next) throw ValueError("a generator was made from no function");
  state_->next = std::move(next);
}
std::optional<Batch> BatchGenerator::operator()() const { return state_->next(); }
BatchGenerator& BatchGenerator::set_prefetch(int64_t batches) {
  if (batches < 0) throw ValueError(ErrorText{.what = "the number of batches to prefetch is negative", .received = std::to_string(batches)}.str());
  state_->prefetch = batches;
  return *this;
}
int64_t BatchGenerator::prefetch() const { return state_->prefetch; }

std::suspend_always BatchGenerator::promise_type::yield_value(Batch batch) {
  current = std::move(batch);
  return {};
}
void BatchGenerator::promise_type::return_void() { current.reset(); }
void BatchGenerator::promise_type::unhandled_exception() { error = std::current_exception(); }
BatchGenerator BatchGenerator::promise_type::get_return_object() {
  using Handle = std::coroutine_handle<promise_type>;
  // The frame lives as long as somebody can ask for a batch.
  std::shared_ptr<void> frame(Handle::from_promise(*this).address(), [](void* p) { Handle::from_address(p).destroy(); });
  return BatchGenerator(Next([frame]() -> std::optional<Batch> {
    Handle h = Handle::from_address(frame.get());
    if (h.done()) return std::nullopt;
    h.promise().current.reset();
    h.resume();
    if (h.promise().error) std::rethrow_exception(std::exchange(h.promise().error, nullptr));
    return std::move(h.promise().current);
  }));
}

namespace utils {
PyDataset::PyDataset(const PyDatasetOptions& options) : options_(options) {}
}  // namespace utils

namespace data {

Batch Layout::batch(const Tensors& flat) const {
  Batch b;
  size_t at = 0;
  for (size_t i = 0; i < inputs; ++i) b.x.values.push_back(flat[at++]);
  for (char there : targets) b.y.values.push_back(there ? flat[at++] : Tensor());
  for (char there : weights) b.sample_weight.values.push_back(there ? flat[at++] : Tensor());
  b.x.names = x_names, b.y.names = y_names;
  return b;
}

Tensors Ready::tensors() const {
  Tensors out;
  for (size_t i = 0; i < signature->types.size(); ++i) {
    Tensor t = Tensor::empty(signature->types[i].dtype, signature->types[i].shape);
    if (t.nbytes()) std::memcpy(t.mutable_raw(), pointers[i], t.nbytes());
    out.push_back(std::move(t));
  }
  return out;
}

namespace {

Signature signature_of(const Flat& flat, int64_t rows) {
  Signature s{flat.layout, {}};
  for (const Tensor& t : flat.tensors) {
    Shape shape = t.shape();
    if (rows >= 0) shape[0] = rows;
    s.types.push_back({t.dtype(), shape});
  }
  return s;
}

// ---- arrays
class ArrayFeed : public Feed {
 public:
  ArrayFeed(const Flat& rows, int64_t batch_size, Batches::Order order)
      : batches_(rows.tensors, batch_size, rows.what), order_(order), full_(signature_of(rows, batches_.batch_size())),
        last_(signature_of(rows, batches_.rows_of(batches_.num_batches() - 1))) {}
  std::optional<int64_t> num_batches() const override { return batches_.num_batches(); }
  std::optional<int64_t> num_rows() const override { return batches_.num_rows(); }
  const Signature* expected() override { return &full_; }
  void start() override { at_ = 0, drawn_ = false; }
  bool next(Ready& batch) override {
    // Drawn when the first batch is asked for, as a Python generator does.
    if (!drawn_) batches_.start(order_), drawn_ = true;
    if (at_ >= batches_.num_batches()) return false;
    batch.signature = batches_.rows_of(at_) == full_.rows() ? &full_ : &last_;
    batch.pointers = batches_.gather(at_++);
    return true;
  }
  std::vector<uint32_t> generator() const override { return random::numpy_random().state(); }
  void start_at(const std::vector<uint32_t>& generator, int64_t batches) override {
    random::numpy_random().set_state(generator);
    batches_.start(order_);
    drawn_ = true;
    if (order_ == Batches::Order::ShuffledBatches)
      for (int64_t b = 0; b < batches; ++b) permutation(batches_.rows_of(b));
    at_ = batches;
  }

 private:
  Batches batches_;
  Batches::Order order_;
  Signature full_, last_;
  int64_t at_ = 0;
  bool drawn_ = false;
};

// ---- sources

/// Results of a function of 0, 1, 2, … in this order, computed ahead by threads. The first exception is rethrown in its place.
class Ahead {
 public:
  using Make = std::function<std::optional<Flat>(int64_t index)>;
  Ahead(Make make, int64_t workers, int64_t capacity) : make_(std::move(make)), workers_(std::max<int64_t>(workers, 1)), capacity_(std::max<int64_t>(capacity, 1)) {}
  ~Ahead() { pause(); }
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;

  /// Begins with `first`; what was made ahead of something else is dropped.
  void restart(int64_t first, std::optional<int64_t> end) {
    pause();
    done_.clear();
    taken_ = given_ = first, end_ = end;
  }
  void run() {
    if (!threads_.empty()) return;
    stop_ = false;
    for (int64_t i = 0; i < workers_; ++i) threads_.emplace_back([this] { work(); });
  }
  /// No thread works when it returns; what is done stays.
  void pause() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    room_.notify_all();
    for (std::thread& t : threads_) t.join();
    threads_.clear();
  }
  /// The next one, none at the end.
  std::optional<Flat> next() {
    std::unique_lock lock(mutex_);
    if (end_ && taken_ >= *end_) return std::nullopt;
    if (done_.empty() || !done_.front().ready || done_.front().batch) {
      lock.unlock();
      run();
      lock.lock();
    }
    ready_.wait(lock, [this] { return !done_.empty() && done_.front().ready; });
    Item item = std::move(done_.front());
    if (item.error || !item.batch) {
      // Stays where it is: there is nothing behind it.
      done_.front() = item;
      lock.unlock();
      pause();
      if (item.error) std::rethrow_exception(item.error);
      return std::nullopt;
    }
    done_.pop_front();
    ++taken_;
    lock.unlock();
    room_.notify_one();
    return std::move(item.batch);
  }

 private:
  struct Item {
    bool ready = false;
    std::optional<Flat> batch;
    std::exception_ptr error;
  };
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      room_.wait(lock, [this] { return stop_ || (given_ - taken_ < capacity_ && (!end_ || given_ < *end_)); });
      if (stop_) return;
      int64_t index = given_++;
      done_.emplace_back();
      lock.unlock();
      Item item;
      try {
        item.batch = make_(index);
      } catch (...) {
        item.error = std::current_exception();
      }
      item.ready = true;
      lock.lock();
      bool last = item.error || !item.batch;
      done_[static_cast<size_t>(index - taken_)] = std::move(item);
      if (last) end_work();
      ready_.notify_all();
    }
  }
  /// After an error or the end nobody begins anything more.
  void end_work() {
    stop_ = true;
    room_.notify_all();
  }

  Make make_;
  int64_t workers_, capacity_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable room_, ready_;
  std::deque<Item> done_;  // from number taken_ on; made in any order
  int64_t given_ = 0, taken_ = 0;
  std::optional<int64_t> end_;
  bool stop_ = false;
};

/// What feeds over sources share: signatures by number, memory that a step can read.
class SourceFeed : public Feed {
 public:
  bool next(Ready& batch) override {
    std::optional<Flat> flat = take();
    if (!flat) return false;
    now_ = std::move(*flat);
    pointers_.clear();
    for (Tensor& t : now_.tensors) pointers_.push_back(const_cast<void*>(t.raw()));
    batch.pointers = pointers_.data();
    batch.signature = known();
    return true;
  }

 protected:
  /// A batch as one list in memory that a step can read; runs in any thread.
  static Flat flat(const Batch& batch, const Arrange& arrange) {
    Flat f = arrange(batch);
    int64_t rows = -1;
    for (size_t i = 0; i < f.tensors.size(); ++i) {
      Tensor& t = f.tensors[i];
      if (t.rank() < 1) throw ValueError(ErrorText{.what = f.what[i] + " of a batch is a scalar: data need a batch axis", .expected = "(samples, …)", .received = t.shape().str()}.str());
      if (rows >= 0 && t.shape()[0] != rows)
        throw ValueError(ErrorText{.what = "the arrays of a batch have different numbers of samples", .expected = fmt::format("{} as {} has", rows, f.what[0]), .received = fmt::format("{} in {}", t.shape()[0], f.what[i])}.str());
      rows = t.shape()[0];
      if (reinterpret_cast<uintptr_t>(t.raw()) % 64) {
        Tensor copy = Tensor::empty(t.dtype(), t.shape());
        std::memcpy(copy.mutable_raw(), t.raw(), t.nbytes());
        t = copy;
      }
    }
    return f;
  }
  virtual std::optional<Flat> take() = 0;

 public:
  const Signature* expected() override { return signatures_.empty() ? nullptr : signatures_.front().get(); }

 private:
  const Signature* known() {
    auto same = [this](const Signature& s) {
      if (s.types.size() != now_.tensors.size() || !(s.layout == now_.layout)) return false;
      for (size_t i = 0; i < s.types.size(); ++i)
        if (s.types[i].dtype != now_.tensors[i].dtype() || s.types[i].shape != now_.tensors[i].shape()) return false;
      return true;
    };
    for (const auto& s : signatures_)
      if (same(*s)) return s.get();
    signatures_.push_back(std::make_unique<Signature>(signature_of(now_, -1)));
    return signatures_.back().get();
  }
  Flat now_;
  std::vector<void*> pointers_;
  std::vector<std::unique_ptr<Signature>> signatures_;
};

class GeneratorFeed : public SourceFeed {
 public:
  GeneratorFeed(std::shared_ptr<BatchGenerator> generator, Arrange arrange) : generator_(std::move(generator)), arrange_(std::move(arrange)) {
    // Keras looks at two batches, and each pass begins with these again.
    for (int i = 0; i < 2; ++i)
      if (std::optional<Batch> b = (*generator_)()) first_.push_back(flat(*b, arrange_));
      else {
        over_ = true;
        break;
      }
    if (first_.empty()) throw ValueError("the generator is empty: it must give at least one batch");
    if (generator_->prefetch() > 0) {
      ahead_ = std::make_unique<Ahead>([this](int64_t) { return make(); }, 1, generator_->prefetch());
      ahead_->restart(0, std::nullopt);
    }
  }
  ~GeneratorFeed() override { ahead_.reset(); }
  std::optional<int64_t> num_batches() const override { return std::nullopt; }
  void start() override { at_ = 0; }
  std::vector<uint32_t> generator() const override { return {0}; }
  void start_at(const std::vector<uint32_t>&, int64_t batches) override {
    start();
    for (int64_t i = 0; i < batches; ++i)
      if (!take()) return;
  }

 protected:
  std::optional<Flat> take() override {
    if (at_ < first_.size()) return first_[at_++];
    return ahead_ ? ahead_->next() : make();
  }

 private:
  /// At its end a generator stays at its end.
  std::optional<Flat> make() {
    if (over_) return std::nullopt;
    std::optional<Batch> b = (*generator_)();
    if (!b) over_ = true;
    return b ? std::optional<Flat>(flat(*b, arrange_)) : std::nullopt;
  }
  std::shared_ptr<BatchGenerator> generator_;
  Arrange arrange_;
  std::vector<Flat> first_;
  size_t at_ = 0;
  bool over_ = false;
  std::unique_ptr<Ahead> ahead_;
};

class DatasetFeed : public SourceFeed {
 public:
  DatasetFeed(std::shared_ptr<utils::PyDataset> dataset, Arrange arrange, bool shuffle) : dataset_(std::move(dataset)), arrange_(std::move(arrange)), shuffle_(shuffle) {
    if (dataset_->workers() < 0 || dataset_->max_queue_size() < 1)
      throw ValueError(ErrorText{.what = "the dataset's workers or its queue can't be", .expected = "workers of at least 0, max_queue_size of at least 1", .received = fmt::format("workers={}, max_queue_size={}", dataset_->workers(), dataset_->max_queue_size())}.str());
    if (dataset_->workers() > 1 || (dataset_->workers() > 0 && dataset_->use_multiprocessing()))
      ahead_ = std::make_unique<Ahead>([this](int64_t i) { return std::optional<Flat>(make(i)); }, dataset_->workers(), dataset_->max_queue_size());
  }
  ~DatasetFeed() override { ahead_.reset(); }
  std::optional<int64_t> num_batches() const override { return dataset_->num_batches(); }
  void on_epoch_begin() override { dataset_->on_epoch_begin(); }
  void on_epoch_end() override {
    if (ahead_) ahead_->pause();
    dataset_->on_epoch_end();
  }
  void start() override { begun_ = false; }
  std::vector<uint32_t> generator() const override { return random::get_state().python; }
  void start_at(const std::vector<uint32_t>& generator, int64_t batches) override {
    random::State s = random::get_state();
    s.python = generator;
    random::set_state(s);
    begin(batches);
  }

 protected:
  std::optional<Flat> take() override {
    if (!begun_) begin(0);
    if (ahead_) return ahead_->next();
    if (end_ && at_ >= *end_) return std::nullopt;
    return make(at_++);
  }

 private:
  void begin(int64_t from) {
    begun_ = true;
    at_ = from;
    end_ = dataset_->num_batches();
    if (ahead_) ahead_->pause();
    order_.clear();
    if (shuffle_ && end_) {
      order_.resize(static_cast<size_t>(*end_));
      std::iota(order_.begin(), order_.end(), int64_t{0});
      random::State s = random::get_state();
      random::PythonRandom python;
      python.set_state(s.python);
      python.shuffle(order_);
      s.python = python.state();
      random::set_state(s);
    }
    if (ahead_) ahead_->restart(from, end_);
  }
  Flat make(int64_t place) { return flat(dataset_->get_item(order_.empty() ? place : order_[static_cast<size_t>(place)]), arrange_); }

  std::shared_ptr<utils::PyDataset> dataset_;
  Arrange arrange_;
  bool shuffle_, begun_ = false;
  int64_t at_ = 0;
  std::optional<int64_t> end_;
  std::vector<int64_t> order_;
  std::unique_ptr<Ahead> ahead_;
};

}  // namespace

std::unique_ptr<Feed> array_feed(const Flat& rows, int64_t batch_size, Batches::Order order) { return std::make_unique<ArrayFeed>(rows, batch_size, order); }

std::unique_ptr<Feed> source_feed(const Data& source, Arrange arrange, bool shuffle) {
  if (source.generator()) return std::make_unique<GeneratorFeed>(source.generator(), std::move(arrange));
  return std::make_unique<DatasetFeed>(source.dataset(), std::move(arrange), shuffle);
}

}  // namespace data
}  // namespace keras
