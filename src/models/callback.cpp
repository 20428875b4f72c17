// What lives here: logs, the history of a run, several callbacks as one.
#include <keras/models/callback.h>

#include <algorithm>

#include <keras/base/error.h>

#include "models/progbar.h"

namespace keras {

Logs::Logs(Items items) : items_(std::make_shared<Items>(std::move(items))) {}
Logs::Logs(std::function<Items()> compute) : compute_(std::move(compute)) {}
Logs::Logs(const Logs& other) : outputs(other.outputs), items_(std::make_shared<Items>(other.items())) {}
Logs& Logs::operator=(const Logs& other) {
  outputs = other.outputs, items_ = std::make_shared<Items>(other.items()), compute_ = nullptr;
  return *this;
}
Logs::Logs(Logs&&) = default;
Logs& Logs::operator=(Logs&&) = default;
Logs::~Logs() = default;

const Logs::Items& Logs::items() const {
  if (!items_) items_ = std::make_shared<Items>(compute_ ? compute_() : Items{});
  return *items_;
}
const double* Logs::find(std::string_view name) const {
  for (const auto& item : items())
    if (item.first == name) return &item.second;
  return nullptr;
}
double Logs::at(std::string_view name) const {
  if (const double* d = find(name)) return *d;
  std::vector<std::string> known;
  for (const auto& item : items()) known.push_back(item.first);
  throw ValueError("the logs hold no '" + std::string(name) + "'" + did_you_mean(name, known));
}
std::vector<double> Logs::values() const {
  std::vector<double> out;
  for (const auto& item : items()) out.push_back(item.second);
  return out;
}
void Logs::set(const std::string& name, double value) {
  items();
  for (auto& item : *items_)
    if (item.first == name) {
      item.second = value;
      return;
    }
  items_->emplace_back(name, value);
}

namespace callbacks {

void Callback::on_train_resume(const Value& state, const Tensors& tensors) {
  Logs none;
  on_train_begin(none);
  if (!state.is_null()) set_state(state);
  set_state_tensors(tensors);
}

const std::vector<double>& History::operator[](std::string_view name) const {
  std::vector<std::string> known;
  for (const auto& [n, v] : history) {
    if (n == name) return v;
    known.push_back(n);
  }
  throw ValueError("the history holds no '" + std::string(name) + "'" + did_you_mean(name, known));
}
bool History::contains(std::string_view name) const {
  return std::any_of(history.begin(), history.end(), [&](const auto& h) { return h.first == name; });
}
void History::on_train_begin(Logs&) {
  epoch.clear();
  history.clear();
}
void History::on_epoch_end(int e, Logs& logs) {
  epoch.push_back(e);
  for (const auto& [name, value] : logs.items()) {
    auto it = std::find_if(history.begin(), history.end(), [&, &name = name](const auto& h) { return h.first == name; });
    if (it == history.end()) it = history.insert(history.end(), {name, {}});
    it->second.push_back(value);
  }
}
Value History::get_state() const {
  List e;
  for (int x : epoch) e.push_back(x);
  Dict h;
  for (const auto& [name, values] : history) {
    List l;
    for (double v : values) l.push_back(v);
    h.set(name, l);
  }
  return Dict{{"epoch", e}, {"history", h}};
}
void History::set_state(const Value& state) {
  epoch.clear();
  history.clear();
  for (const Value& v : state.get("epoch").as_list()) epoch.push_back(static_cast<int>(v.as_int()));
  for (const auto& [name, values] : state.get("history").as_dict()) {
    std::vector<double> l;
    for (const Value& v : values.as_list()) l.push_back(v.as_float());
    history.emplace_back(name, l);
  }
}

// ---- CallbackList
CallbackList::CallbackList(std::vector<CallbackSpec> callbacks, const CallbackListOptions& o) {
  bool bar = false;
  for (const CallbackSpec& c : callbacks) {
    list_.push_back(c.get());
    bar = bar || models::is_progbar(*c.get());
  }
  if (o.add_history && !history()) list_.push_back(std::make_shared<History>());
  if (o.add_progbar && !bar) list_.push_back(models::make_progbar(1));
  if (o.model) set_model(o.model);
  if (o.params) set_params(*o.params);
}
void CallbackList::append(std::shared_ptr<Callback> callback) { list_.push_back(std::move(callback)); }
std::shared_ptr<History> CallbackList::history() const {
  for (const auto& c : list_)
    if (auto h = std::dynamic_pointer_cast<History>(c)) return h;
  return nullptr;
}
void CallbackList::set_model(Model* model) {
  Callback::set_model(model);
  for (const auto& c : list_) c->set_model(model);
}
void CallbackList::set_params(const CallbackParams& params) {
  Callback::set_params(params);
  for (const auto& c : list_) c->set_params(params);
}
#define KERAS_TELL(hook, ...) \
  for (const auto& c : list_) c->hook(__VA_ARGS__)
void CallbackList::on_train_begin(Logs& logs) { KERAS_TELL(on_train_begin, logs); }
void CallbackList::on_train_end(Logs& logs) { KERAS_TELL(on_train_end, logs); }
void CallbackList::on_epoch_begin(int epoch, Logs& logs) { KERAS_TELL(on_epoch_begin, epoch, logs); }
void CallbackList::on_epoch_end(int epoch, Logs& logs) { KERAS_TELL(on_epoch_end, epoch, logs); }
void CallbackList::on_batch_begin(int64_t batch, Logs& logs) { KERAS_TELL(on_batch_begin, batch, logs); }
void CallbackList::on_batch_end(int64_t batch, Logs& logs) { KERAS_TELL(on_batch_end, batch, logs); }
void CallbackList::on_train_batch_begin(int64_t batch, Logs& logs) { KERAS_TELL(on_train_batch_begin, batch, logs); }
void CallbackList::on_train_batch_end(int64_t batch, Logs& logs) { KERAS_TELL(on_train_batch_end, batch, logs); }
void CallbackList::on_test_begin(Logs& logs) { KERAS_TELL(on_test_begin, logs); }
void CallbackList::on_test_end(Logs& logs) { KERAS_TELL(on_test_end, logs); }
void CallbackList::on_test_batch_begin(int64_t batch, Logs& logs) { KERAS_TELL(on_test_batch_begin, batch, logs); }
void CallbackList::on_test_batch_end(int64_t batch, Logs& logs) { KERAS_TELL(on_test_batch_end, batch, logs); }
void CallbackList::on_predict_begin(Logs& logs) { KERAS_TELL(on_predict_begin, logs); }
void CallbackList::on_predict_end(Logs& logs) { KERAS_TELL(on_predict_end, logs); }
void CallbackList::on_predict_batch_begin(int64_t batch, Logs& logs) { KERAS_TELL(on_predict_batch_begin, batch, logs); }
void CallbackList::on_predict_batch_end(int64_t batch, Logs& logs) { KERAS_TELL(on_predict_batch_end, batch, logs); }
#undef KERAS_TELL

}  // namespace callbacks
}  // namespace keras
