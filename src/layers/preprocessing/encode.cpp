// What lives here: how categories are written out.
#include "layers/preprocessing/encode.h"

#include <fmt/format.h>
#include <algorithm>

#include <keras/ops.h>

#include "cpu/hashing.h"

namespace keras::layers {

Tensor encode_categories(const Tensor& indices, const std::string& mode, int64_t depth, DType dtype, const Tensor& weights) {
  if (mode == "int") return ops::cast(indices, DType::Int32);
  Tensor x = indices.rank() == 0 ? ops::expand_dims(indices, -1) : indices;
  if (mode == "multi_hot") return ops::multi_hot(x, depth, -1, dtype);
  if (mode == "one_hot") return ops::one_hot(x.rank() > 1 && x.shape().back() == 1 ? ops::squeeze(x, -1) : x, depth, -1, dtype);
  Tensor hot = ops::one_hot(x, depth, -1, weights.defined() ? weights.dtype() : dtype);
  if (weights.defined()) hot = hot * ops::expand_dims(weights.rank() == 0 ? ops::expand_dims(weights, -1) : weights, -1);
  return ops::sum(hot, x.rank() > 1 ? 1 : 0);
}

void bad_option(const LayerImpl& l, const std::string& option, const std::string& expected, const Value& received) {
  throw ValueError(ErrorText{.what = fmt::format("{}: the option `{}` is outside of what the layer takes", l.class_name_, option),
                             .where = l.where(),
                             .expected = expected,
                             .received = received.str()}
                       .str());
}
void check_option(const LayerImpl& l, const std::string& option, const std::string& value, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  std::string list;
  for (const std::string& k : known) list += (list.empty() ? "\"" : ", \"") + k + "\"";
  throw ValueError(ErrorText{.what = fmt::format("{}: {} is unknown{}", l.class_name_, option, did_you_mean(value, known)),
                             .where = l.where(),
                             .expected = list,
                             .received = value}
                       .str());
}
void refuse(const LayerImpl& l, const std::string& option, bool value) {
  if (value)
    throw ValueError(ErrorText{.what = fmt::format("{}: `{}` results exist in Keras with TensorFlow alone", l.class_name_, option),
                               .where = l.where(),
                               .expected = "false",
                               .received = "true"}
                         .str());
}

Salt::Salt(const LayerImpl& l, const Value& v) {
  if (v.is_null()) return;
  given = true;
  bool two = v.is_list() && v.as_list().size() == 2 && v.as_list()[0].is_int() && v.as_list()[1].is_int();
  if (!v.is_int() && !two) bad_option(l, "salt", "a whole number, or two", v);
  for (size_t i = 0; i < 2; ++i) key[i] = static_cast<uint64_t>(two ? v.as_list()[i].as_int() : v.as_int());
}
int64_t Salt::bin(const std::string& text, int64_t bins) const {
  return static_cast<int64_t>((given ? cpu::sip_hash(text, key) : cpu::fingerprint64(text)) % static_cast<uint64_t>(bins));
}

}  // namespace keras::layers
