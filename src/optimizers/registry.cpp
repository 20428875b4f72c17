// What lives here: names of optimizers and schedules: Keras' own, those that users registered, saved forms in and out.
#include <algorithm>
#include <typeindex>

#include "optimizers/optimizer_impl.h"
#include "serial/registered.h"

namespace keras::optimizers {

namespace {

template <class T> using Factory = std::function<std::shared_ptr<T>(const Dict&)>;

template <class T> struct Builtin {
  std::string class_name;
  std::type_index type;
  Factory<T> make;
};

template <class T> std::shared_ptr<Optimizer> make_optimizer(const Dict& config, const char* class_name) {
  return std::make_shared<T>(read_options<typename T::OptionsType>(config, class_name));
}

// What LossScaleOptimizer once saved of its base, though none of it did anything.
Dict without_base_defaults(Dict config) {
  Dict defaults = serial::to_config(OptimizerOptions{});
  for (const std::string& key : defaults.keys()) {
    const Value* v = config.find(key);
    if (key == "name" || key == "learning_rate" || !v) continue;
    if (!(*v == defaults.at(key)))
      throw ValueError(ErrorText{.what = "LossScaleOptimizer does not take '" + key + "'",
                                 .where = "LossScaleOptimizer",
                                 .received = v->str(),
                                 .fix = "set it on the inner optimizer"}
                           .str());
    config.erase(key);
  }
  return config;
}

std::shared_ptr<Optimizer> make_loss_scale(const Dict& given) {
  Dict config = without_base_defaults(given);
  const Value* dynamic = config.find("dynamic");
  if (dynamic && dynamic->is_bool() && !dynamic->as_bool())
    throw ValueError(
        ErrorText{.what = "LossScaleOptimizer has no dynamic=False any more", .fix = "set loss_scale_factor on the inner optimizer"}.str());
  config.erase("dynamic");
  Value inner = config.at("inner_optimizer");
  config.erase("inner_optimizer");
  return std::make_shared<LossScaleOptimizer>(OptimizerSpec(inner), read_options<LossScaleOptimizerOptions>(config, "LossScaleOptimizer"));
}

std::shared_ptr<Optimizer> make_multi(const Dict& given) {
  Dict config = given;
  Value map = config.at("optimizer_map");
  config.erase("optimizer_map");
  if (!map.get("config").is_dict())
    throw ValueError(
        ErrorText{.what = "the saved MultiOptimizer holds no OptimizerMap", .where = "MultiOptimizer", .received = map.str()}.str());
  return std::make_shared<MultiOptimizer>(OptimizerMap::from_config(map.get("config").as_dict()),
                                          read_options<MultiOptimizerOptions>(config, "MultiOptimizer"));
}

const std::vector<Builtin<Optimizer>>& builtins() {
  static const std::vector<Builtin<Optimizer>> all = {
#define KERAS_ROW(Name) {#Name, typeid(Name), [](const Dict& c) { return make_optimizer<Name>(c, #Name); }},
      KERAS_BUILTIN_OPTIMIZERS(KERAS_ROW)
#undef KERAS_ROW
          {"LossScaleOptimizer", typeid(LossScaleOptimizer), make_loss_scale},
      {"MultiOptimizer", typeid(MultiOptimizer), make_multi}};
  return all;
}

const std::vector<Builtin<schedules::LearningRateSchedule>>& builtin_schedules() {
  using schedules::LearningRateSchedule;
  static const std::vector<Builtin<LearningRateSchedule>> all = {
#define KERAS_ROW(Name)                                                                          \
  {#Name, typeid(schedules::Name), [](const Dict& c) -> std::shared_ptr<LearningRateSchedule> {  \
     return std::make_shared<schedules::Name>(read_options<schedules::Name##Options>(c, #Name)); \
   }},
      KERAS_BUILTIN_SCHEDULES(KERAS_ROW)
#undef KERAS_ROW
  };
  return all;
}

std::string lower(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return s;
}

/// Keras' classes and registered ones of one kind.
template <class T> class Registry {
 public:
  Registry(const char* kind, const char* registrar, const std::vector<Builtin<T>>& builtins, bool any_case)
      : kind_(kind), registrar_(registrar), builtins_(builtins), any_case_(any_case) {}

  void add(const std::string& name, Factory<T> make, const std::type_info* type) { custom_.add(name, std::move(make), type); }

  bool is_builtin(const std::type_info& type) const {
    return std::any_of(builtins_.begin(), builtins_.end(), [&](const auto& b) { return b.type == std::type_index(type); });
  }

  std::string registered_name(const std::type_info& type, const std::string& class_name) const {
    std::string name = custom_.name_of(type, class_name);
    return name.empty() ? class_name : name;
  }

  std::vector<std::string> known() const {
    std::vector<std::string> out;
    for (const auto& b : builtins_) out.push_back(b.class_name);
    for (const std::string& name : custom_.names()) out.push_back(name);
    return out;
  }

  std::shared_ptr<T> get(const Value& identifier) {
    if (identifier.is_null()) return nullptr;
    if (identifier.is_string()) return make(identifier.as_string(), identifier.as_string(), {});
    const Value& class_name = identifier.get("class_name");
    if (!class_name.is_string())
      throw ValueError(ErrorText{.what = std::string("this is no ") + kind_,
                                 .expected = "a name, or a dictionary with \"class_name\" and \"config\"",
                                 .received = identifier.str()}
                           .str());
    const Value& config = identifier.get("config");
    const Value& registered = identifier.get("registered_name");
    return make(registered.is_string() ? registered.as_string() : class_name.as_string(), class_name.as_string(),
                config.is_null() ? Dict{} : config.as_dict());
  }

 private:
  std::shared_ptr<T> make(const std::string& registered, const std::string& class_name, const Dict& config) {
    // What users named exactly so comes before Keras' own, whose case does not matter.
    if (Factory<T> make = custom_.find(registered)) return make(config);
    for (const auto& b : builtins_)
      if (b.class_name == class_name || (any_case_ && lower(b.class_name) == lower(class_name))) return b.make(config);
    if (Factory<T> make = custom_.find(class_name)) return make(config);
    throw ValueError(ErrorText{.what = "unknown " + std::string(kind_) + " '" + registered + "'" + did_you_mean(class_name, known()),
                               .fix = std::string("for a class of your own, register it: ") + registrar_ + "<" + serial::last_part(class_name) +
                                      ">(\"" + registered + "\")"}
                         .str());
  }

  const char *kind_, *registrar_;
  const std::vector<Builtin<T>>& builtins_;
  bool any_case_;
  serial::RegisteredClasses<T> custom_;
};

Registry<Optimizer>& optimizer_registry() {
  static Registry<Optimizer> r("optimizer", "optimizers::register_optimizer", builtins(), true);
  return r;
}
Registry<schedules::LearningRateSchedule>& schedule_registry() {
  static Registry<schedules::LearningRateSchedule> r("learning rate schedule", "optimizers::schedules::register_schedule",
                                                     builtin_schedules(), false);
  return r;
}

}  // namespace

bool is_builtin(const std::type_info& type) { return optimizer_registry().is_builtin(type); }
bool is_builtin_schedule(const std::type_info& type) { return schedule_registry().is_builtin(type); }

std::string Optimizer::class_name() const { return serial::plain_type_name(typeid(*this)); }
Value Optimizer::serialize() const {
  if (is_builtin(typeid(*this))) return serial::object("keras.optimizers", class_name(), get_config());
  return Dict{{"module", Value()},
              {"class_name", class_name()},
              {"config", get_config()},
              {"registered_name", optimizer_registry().registered_name(typeid(*this), class_name())}};
}
std::shared_ptr<Optimizer> Optimizer::get(const Value& identifier) { return optimizer_registry().get(identifier); }

void register_optimizer(const std::string& registered_name, OptimizerFactory factory, const std::type_info* type) {
  optimizer_registry().add(registered_name, std::move(factory), type);
}
std::vector<std::string> known_names() { return optimizer_registry().known(); }

namespace schedules {

std::string LearningRateSchedule::class_name() const { return serial::plain_type_name(typeid(*this)); }
Value LearningRateSchedule::serialize() const {
  if (is_builtin_schedule(typeid(*this))) return serial::object("keras.optimizers.schedules", class_name(), get_config());
  return Dict{{"module", Value()},
              {"class_name", class_name()},
              {"config", get_config()},
              {"registered_name", schedule_registry().registered_name(typeid(*this), class_name())}};
}
std::shared_ptr<LearningRateSchedule> LearningRateSchedule::get(const Value& identifier) { return schedule_registry().get(identifier); }
void register_schedule(const std::string& registered_name, ScheduleFactory factory, const std::type_info* type) {
  schedule_registry().add(registered_name, std::move(factory), type);
}

}  // namespace schedules

}  // namespace keras::optimizers
