// What lives here: one inside for MultiHeadAttention and GroupQueryAttention. They differ in how many heads key and value have.
#include <keras/layers/attention/multi_head_attention.h>

#include <keras/layers/activations/activations.h>
#include <keras/layers/core/einsum_dense.h>
#include <keras/layers/regularization/dropout.h>

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "layers/attention/attention_call.h"

namespace keras::layers {

namespace {

/// The three tensors of a call, by place or keyword; a list in the first place holds them too, as shape questions give them.
Tensor argument(const core::CallArgs& args, size_t place, std::string_view name) {
  if (const core::Arg* a = args.find(name)) return a->is_tensor() ? a->tensor() : Tensor();
  if (args.args.size() == 1 && args.args[0].is_list()) {
    Tensors all = args.args[0].tensors();
    return place < all.size() ? all[place] : Tensor();
  }
  return place < args.args.size() && args.args[place].is_tensor() ? args.args[place].tensor() : Tensor();
}

/// A dense map from the last `bound` axes of its input to `outputs` axes: an EinsumDense by name and weights, computed as one product.
struct Projection {
  Layer layer;
  Variable kernel, bias;
  bool sigmoid = false;
  explicit operator bool() const { return static_cast<bool>(layer); }
};

template <class Options> struct HeadsImpl : LayerImpl {
  static constexpr bool grouped = std::is_same_v<Options, GroupQueryAttentionOptions>;
  int64_t query_heads, key_heads, key_dim, value_dim;
  Options o;
  Shape own_output;                                    // empty: the query's last axis
  std::optional<std::vector<int64_t>> attention_axes;  // as given, then, when built, counted from the front
  Projection query, key, gate, value, output;
  Layer softmax, dropout;

  void positive(const char* name, int64_t n) const {
    if (n <= 0)
      throw ValueError(ErrorText{.what = fmt::format("{}: {} must be positive", class_name_, name),
                                 .where = where(),
                                 .expected = "1 or more",
                                 .received = std::to_string(n)}
                           .str());
  }
  HeadsImpl(int64_t heads, int64_t shared, int64_t size, const Options& options)
      : query_heads(heads), key_heads(shared), key_dim(size), value_dim(size), o(options) {
    init_common(grouped ? "GroupedQueryAttention" : "MultiHeadAttention",
                o);  // Keras names layers after its class, which it saves under another name
    if constexpr (grouped) {
      class_name_ = "GroupQueryAttention";
      activity_regularizer_ = o.activity_regularizer;  // of the result too, other than in MultiHeadAttention
      positive("head_dim", key_dim), positive("num_query_heads", query_heads), positive("num_key_value_heads", key_heads);
      if (query_heads % key_heads)
        throw ValueError(ErrorText{.what = "GroupQueryAttention: query heads can't be shared out evenly",
                                   .where = where(),
                                   .expected = fmt::format("num_query_heads a multiple of num_key_value_heads={}", key_heads),
                                   .received = std::to_string(query_heads)}
                             .str());
    } else {
      positive("num_heads", query_heads), positive("key_dim", key_dim);
      if (o.value_dim) positive("value_dim", value_dim = *o.value_dim);
      own_output = Shape(o.output_shape.list());
      for (int64_t d : own_output) positive("output_shape", d);
      if (!o.attention_axes.all()) attention_axes.emplace(o.attention_axes.list().begin(), o.attention_axes.list().end());
    }
    check_dropout(*this, o.dropout);
    if (o.sliding_window) positive("sliding_window", *o.sliding_window);
    if (o.flash_attention.value_or(false) && o.dropout > 0)
      throw ValueError(ErrorText{.what = class_name_ + ": flash_attention and dropout exclude each other",
                                 .where = where(),
                                 .expected = "dropout = 0",
                                 .received = float_repr(o.dropout)}
                           .str());
    o.kernel_initializer.object(), o.bias_initializer.object();
    supports_masking_ = true;
  }

  // ---- weights
  std::vector<Shape> build_shapes(const core::CallArgs& args) const override {
    std::vector<Shape> shapes;
    for (auto [place, name] : {std::pair{size_t{0}, "query"}, {size_t{1}, "value"}, {size_t{2}, "key"}})
      if (Tensor t = argument(args, place, name); t.defined()) shapes.push_back(t.shape());
      else if (place < 2) missing(name);
    return shapes;
  }
  [[noreturn]] void missing(const char* name) const {
    throw ValueError(ErrorText{.what = fmt::format("{} was called without a {}", class_name_, name),
                               .where = where(),
                               .expected = "layer(query, value) or layer(query, value, key)",
                               .fix = "for self-attention: layer(x, x)"}
                         .str());
  }
  void check_lengths(const Shape& value_shape, const Shape& key_shape) const {
    if (value_shape.rank() != key_shape.rank() || !compatible(value_shape.slice(1, -1), key_shape.slice(1, -1)))
      throw ValueError(ErrorText{.what = class_name_ + ": value and key must have the same shape but for the last axis",
                                 .where = where(),
                                 .expected = "a key like the value " + value_shape.str(),
                                 .received = key_shape.str()}
                           .str());
  }
  /// Keras makes each projection's initialisers anew, so that a random one draws a seed of its own.
  static Initializer anew(const Initializer& i) {
    try {
      Initializer copy(i.serialize());
      copy.object();
      return copy;
    } catch (const Error&) {
      return i;  // a function of the user's, which no configuration can hold
    }
  }
  Projection make_projection(const char* attribute, const char* name, const Shape& input, int bound, const Shape& outputs,
                             bool sigmoid = false) {
    std::string in, weights, out;
    char letter = 'a';
    for (int i = 0; i < input.rank() - bound; ++i) in += letter, out += letter, ++letter;
    for (int i = 0; i < bound; ++i) in += letter, weights += letter, ++letter;
    std::string bias_axes;
    for (int i = 0; i < outputs.rank(); ++i) weights += letter, out += letter, bias_axes += letter, ++letter;
    EinsumDenseOptions e;
    e.name = name, e.dtype = dtype_policy_;
    if (sigmoid) e.activation = "sigmoid";
    if (o.use_bias) e.bias_axes = bias_axes;
    e.kernel_initializer = anew(o.kernel_initializer), e.bias_initializer = anew(o.bias_initializer);
    e.kernel_regularizer = o.kernel_regularizer, e.bias_regularizer = o.bias_regularizer, e.activity_regularizer = o.activity_regularizer;
    e.kernel_constraint = o.kernel_constraint, e.bias_constraint = o.bias_constraint;
    Shape partial(std::vector<int64_t>(static_cast<size_t>(input.rank() - bound - 1), None));
    EinsumDense layer(in + "," + weights + "->" + out, partial + outputs, e);
    track(attribute, layer.impl());
    layer.impl()->ensure_built({input});
    return {layer, layer.kernel(), o.use_bias ? layer.bias() : Variable(), sigmoid};
  }
  void build(const std::vector<Shape>& inputs) override {
    const Shape& q = inputs.at(0);
    const Shape& v = inputs.size() > 1 ? inputs[1] : q;  // from a shape alone: self-attention
    const Shape& k = inputs.size() > 2 ? inputs[2] : v;
    if (built_shapes_.size() == 1) built_shapes_.push_back(v);
    for (const Shape* s : {&q, &v, &k})
      if (grouped ? s->rank() != 3 : s->rank() < 3)
        throw ValueError(ErrorText{.what = class_name_ + " got an input of a rank it can't use",
                                   .where = where(),
                                   .expected = grouped ? "(batch, steps, features)" : "(batch, …, features) of rank 3 or more",
                                   .received = s->str()}
                             .str());
    check_lengths(v, k);
    const int rank = v.rank() + 1;  // of projected values
    if (!grouped) {
      if (!attention_axes) {
        attention_axes.emplace();
        for (int i = 1; i < rank - 2; ++i) attention_axes->push_back(i);
      }
      for (int64_t& a : *attention_axes) {
        int64_t given = a;
        if (a < 0) a += rank - 1;
        if (a < 1 || a >= rank - 2)
          throw ValueError(ErrorText{.what = class_name_ + ": an attention axis is out of bounds",
                                     .where = where(),
                                     .expected = fmt::format("axes from 1 to {} of inputs of rank {}", rank - 3, rank - 1),
                                     .received = std::to_string(given)}
                               .str());
      }
    } else {
      attention_axes = {1};
    }
    const Shape of_keys{key_heads, key_dim}, of_values{key_heads, value_dim};
    // Keras meets the public properties of MultiHeadAttention first, and saves by their names.
    query = make_projection(grouped ? "_query_dense" : "query_dense", "query", q, 1, {query_heads, key_dim});
    key = make_projection(grouped ? "_key_dense" : "key_dense", "key", k, 1, of_keys);
    if (o.use_gate) gate = make_projection("_gate_dense", "gate", q, 1, {query_heads, value_dim}, true);
    value = make_projection(grouped ? "_value_dense" : "value_dense", "value", v, 1, of_values);
    std::vector<int> over;
    for (int i = 0, n = static_cast<int>(attention_axes->size()); i < n; ++i) over.push_back(rank - 2 + i);
    if (grouped) over = {-1};
    softmax = Softmax(grouped ? Axes(-1) : Axes(over), {.dtype = dtype_policy_});
    track("_softmax", softmax.impl());
    dropout = Dropout(o.dropout, {.seed = o.seed, .dtype = dtype_policy_});
    track("_dropout_layer", dropout.impl());
    Shape heads = q.slice(0, -1) + Shape{query_heads, value_dim};
    output = make_projection(grouped ? "_output_dense" : "output_dense", "attention_output", heads, 2,
                             own_output.rank() ? own_output : Shape{q.back()});
  }
  Value build_config() const override {
    if (built_shapes_.size() < 2) return {};
    Dict d{{"query_shape", Value(built_shapes_[0])}, {"value_shape", Value(built_shapes_[1])}};
    if (built_shapes_.size() > 2) d.set("key_shape", Value(built_shapes_[2]));
    return Dict{{"shapes_dict", d}};
  }
  void build_from_config(const Value& config) override {
    const Value& shapes = config.get("shapes_dict");
    if (!shapes.is_dict()) return LayerImpl::build_from_config(config);
    if (built_) return;
    std::vector<Shape> inputs;
    for (const char* name : {"query_shape", "value_shape", "key_shape"})
      if (const Value& s = shapes.get(name); s.is_list()) inputs.push_back(s.as_shape());
    if (!inputs.empty()) ensure_built(inputs);
  }

  // ---- the call
  Tensor project(const Projection& p, const Tensor& x, int bound) {
    Tensor y = prims::dot(prims::cast(x, compute_dtype_), prims::cast(p.kernel.value(), compute_dtype_),
                          prims::iota_axes(bound, x.rank() - bound), prims::iota_axes(bound));
    if (o.use_bias) y = prims::add(y, prims::cast(p.bias.value(), compute_dtype_));
    if (p.sigmoid) y = ops::sigmoid(y);
    if (const Regularizer& r = p.layer.impl()->activity_regularizer_) {
      Tensor loss = r.object()->call(y);
      p.layer.impl()->add_loss(prims::div(loss, scalar_like(loss, loss.dtype(), static_cast<double>(std::max<int64_t>(y.shape()[0], 1)))));
    }
    return y;
  }
  /// Axes of size 1 put in where the heads are, until the mask lines up with scores of this rank.
  Tensor lined_up(Tensor mask, int rank) const {
    while (mask.defined() && mask.rank() < rank) {
      int at = mask.rank() + 1 - static_cast<int>(attention_axes->size()) * 2 - 1;
      if (at < 0)
        throw ValueError(ErrorText{.what = class_name_ + ": the attention mask has too few axes",
                                   .where = where(),
                                   .expected = "(batch, query steps, value steps) with as many axes of steps as attention_axes",
                                   .received = mask.shape().str()}
                             .str());
      mask = ops::expand_dims(mask, at);
    }
    return mask;
  }
  Tensors call(const Call& c) override {
    Tensor q = argument(c.args, 0, "query"), v = argument(c.args, 1, "value"), k = argument(c.args, 2, "key");
    if (!q.defined()) missing("query");
    if (!v.defined()) missing("value");
    const bool own_key = k.defined();
    if (!own_key) k = v;
    check_lengths(v.shape(), k.shape());
    if (grouped && ops::abstract_trace() && q.shape().back() != v.shape().back())
      throw ValueError(ErrorText{.what = "GroupQueryAttention: query and value must have the same last axis",
                                 .where = where(),
                                 .expected = q.shape().str(),
                                 .received = v.shape().str()}
                           .str());
    const bool with_scores = call_flag(c, 7, "return_attention_scores"), causal = call_flag(c, 9, "use_causal_mask");
    if (with_scores && o.flash_attention.value_or(false))
      throw ValueError(ErrorText{.what = class_name_ + ": there are no scores to return when flash_attention is set",
                                 .where = where(),
                                 .fix = "leave out flash_attention, or return_attention_scores"}
                           .str());

    // 1. Where may a query step look? MultiHeadAttention listens to the mask that its query carries alone, as Keras 3.15.
    auto given = [&](size_t place, const char* name, const Tensor& carrier) {
      Tensor m = c.args.args.size() == 1 ? Tensor() : argument(c.args, place, name);
      if (const core::Arg* a = c.args.find(name); a && a->is_tensor()) m = a->tensor();
      return m.defined() ? m : core::mask_of(carrier);
    };
    Tensor query_mask = grouped ? given(3, "query_mask", q) : core::mask_of(q), value_mask = given(4, "value_mask", v),
           key_mask = own_key ? given(5, "key_mask", k) : Tensor();
    if (!own_key && c.args.find("key_mask")) key_mask = given(5, "key_mask", Tensor());
    Tensor attention_mask = given(6, "attention_mask", Tensor()), allowed;
    if (attention_mask.defined()) attention_mask = ops::as_bool(attention_mask);
    if (query_mask.defined()) allowed = ops::expand_dims(ops::as_bool(query_mask), -1);
    if (value_mask.defined()) allowed = both(allowed, ops::expand_dims(ops::as_bool(value_mask), -2));
    if (key_mask.defined()) allowed = both(allowed, ops::expand_dims(ops::as_bool(key_mask), -2));
    const bool causal_only = causal && !allowed.defined() && !attention_mask.defined() && !o.sliding_window;
    const int64_t rows = q.shape()[1], columns = v.shape()[1];
    if (causal && !causal_only) allowed = both(allowed, causal_mask(rows, columns));
    if (o.sliding_window) allowed = both(allowed, window_mask(rows, columns, *o.sliding_window));
    allowed = both(attention_mask, allowed);

    // 2. Heads: (batch, …, heads, size).
    q = core::with_mask(q, Tensor()), k = core::with_mask(k, Tensor()), v = core::with_mask(v, Tensor());
    Tensor open = o.use_gate ? project(gate, q, 1) : Tensor();
    Tensor Q = project(query, q, 1), K = project(key, k, 1), V = project(value, v, 1), y, weights;

    // 3. Attention, fused where nothing between scores and weights is asked for.
    const double factor = 1.0 / std::sqrt(static_cast<double>(key_dim));
    if (Q.rank() == 4 && !with_scores && o.dropout == 0) {
      y = ops::dot_product_attention(Q, K, V, Tensor(), lined_up(allowed, 4), factor, causal_only);
    } else {
      if (causal_only) allowed = causal_mask(rows, columns);
      std::tie(y, weights) = attend(c, prims::mul(Q, factor), K, V, allowed);
    }
    if (o.use_gate) y = prims::mul(y, open);
    y = project(output, y, 2);
    if (with_scores) return {y, weights};
    return {y};
  }
  /// Scores of each query place with each key place within the batch axes (all that are no attention axes), and the weighted sums.
  std::pair<Tensor, Tensor> attend(const Call& c, const Tensor& Q, Tensor K, Tensor V, const Tensor& allowed) {
    if (query_heads != key_heads) {
      int64_t times = query_heads / key_heads;
      K = ops::repeat(K, times, 2), V = ops::repeat(V, times, 2);
    }
    const prims::Ints& over = *attention_axes;
    const int rank = Q.rank(), places = static_cast<int>(over.size());
    prims::Ints batch, free = over;
    std::sort(free.begin(), free.end());
    for (int i = 0; i < rank - 1; ++i)
      if (std::find(over.begin(), over.end(), i) == over.end()) batch.push_back(i);
    const int nb = static_cast<int>(batch.size());
    Tensor s = prims::dot(Q, K, {rank - 1}, {rank - 1}, batch, batch);  // batch, query places, key places; both in the order of the axes
    // In the order in which attention_axes names them.
    prims::Ints named = prims::iota_axes(nb);
    for (int side = 0; side < 2; ++side)
      for (int64_t a : over) named.push_back(nb + side * places + (std::find(free.begin(), free.end(), a) - free.begin()));
    s = prims::transpose(s, named);
    Tensor mask = lined_up(allowed, s.rank());
    if (mask.defined()) s = ops::where(mask, s, prims::scalar(s, s.dtype() == DType::Float16 ? -3e4 : -1e9));
    std::vector<int> last;
    for (int i = 0; i < places; ++i) last.push_back(nb + places + i);
    Tensor weights = ops::softmax(s, Axes(last));
    if (mask.defined()) weights = ops::where(mask, weights, prims::scalar(weights, 0));
    Tensor used = weights;
    if (o.dropout > 0) {
      core::CallArgs args;
      args.args = {core::Arg(weights)};
      args.set("training", Value(c.training));
      used = (*dropout.impl())(std::move(args)).at(0);
    }
    Tensor y = prims::dot(used, V, prims::iota_axes(places, nb + places), over, prims::iota_axes(nb), batch);  // batch, query places, size
    prims::Ints back(static_cast<size_t>(rank));
    for (int i = 0; i < nb; ++i) back[static_cast<size_t>(batch[static_cast<size_t>(i)])] = i;
    for (int i = 0; i < places; ++i) back[static_cast<size_t>(over[static_cast<size_t>(i)])] = nb + i;
    back[static_cast<size_t>(rank) - 1] = rank - 1;
    return {prims::transpose(y, back), weights};
  }
  std::vector<ir::Type> output_types(const core::CallArgs& args) override {
    std::vector<ir::Type> types = LayerImpl::output_types(args);
    if constexpr (!grouped)
      if (types.size() == 2) {
        // Keras 3.15 declares scores of steps of the query alone, whatever the length of the value. Computed ones have their true shape.
        Tensor q = argument(args, 0, "query");
        types[1].shape = Shape{q.shape()[0], query_heads, q.shape()[1], q.shape()[1]};
      }
    return types;
  }
  Tensors compute_mask(const Call& c, size_t) override {
    Tensor q = argument(c.args, 0, "query"), mask = q.defined() ? core::mask_of(q) : Tensor();
    // Keras' MultiHeadAttention takes the masks off the tensors it was given: what uses them afterwards (a residual connection) sees none.
    if constexpr (!grouped)
      for (const Tensor& t : {q, argument(c.args, 1, "value"), argument(c.args, 2, "key")})
        if (t.defined() && !t.is_symbolic()) t.impl()->mask = nullptr;
    return {mask};
  }

  Dict own_config() const override {
    Dict rest = serial::to_config(o), d;
    if constexpr (grouped) {
      d = {{"head_dim", key_dim}, {"num_query_heads", query_heads}, {"num_key_value_heads", key_heads}};
      for (const auto& [k, v] : rest) d.set(k, v);
    } else {
      d = {{"num_heads", query_heads}, {"key_dim", key_dim}, {"value_dim", value_dim}};
      for (const auto& [k, v] : rest) {
        if (k == "value_dim") continue;
        if (k == "sliding_window") {
          d.set("output_shape", own_output.rank() ? Value(own_output) : Value());
          d.set("attention_axes", attention_axes ? Value(*attention_axes) : Value());
        }
        d.set(k, v);
      }
    }
    return d;
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    Explanation e;
    int kept = in.at(0).rank() - 1;
    for (int i = 0; i < out[0].rank(); ++i)
      e.axes.push_back(i == 0              ? "batch, as it came in"
                       : i < kept          ? "steps of the query: one output for each"
                       : own_output.rank() ? "output_shape"
                                           : "as the query's last axis");
    for (const Projection* p : {&query, &key, &gate, &value, &output}) {
      if (!*p) continue;
      e.parameters.push_back(fmt::format("{}/kernel {} = {}", p->layer.name(), p->kernel.shape().str(), p->kernel.shape().numel()));
      if (o.use_bias)
        e.parameters.push_back(fmt::format("{}/bias {} = {}", p->layer.name(), p->bias.shape().str(), p->bias.shape().numel()));
    }
    e.notes.push_back(fmt::format(
        "{} heads of {} numbers for queries and keys, {} for values{}; the length of the sequences changes no parameter", query_heads,
        key_dim, value_dim,
        query_heads == key_heads ? ""
                                 : fmt::format(" ({} heads of keys and values, each shared by {})", key_heads, query_heads / key_heads)));
    return e;
  }
};
}  // namespace

MultiHeadAttention::MultiHeadAttention(int64_t num_heads, int64_t key_dim, const MultiHeadAttentionOptions& o)
    : Layer(make_impl<HeadsImpl<MultiHeadAttentionOptions>>(num_heads, num_heads, key_dim, o)) {}
Layer MultiHeadAttention::from_config(const Dict& c) {
  auto o = options_from<MultiHeadAttentionOptions>(c, "MultiHeadAttention");
  auto ints = [&](const char* name) {
    const Value* v = c.find(name);
    return !v || v->is_null() ? std::vector<int64_t>{} : v->is_list() ? v->as_ints() : std::vector<int64_t>{v->as_int()};
  };
  if (std::vector<int64_t> s = ints("output_shape"); !s.empty()) o.output_shape = Sizes(s);
  if (std::vector<int64_t> a = ints("attention_axes"); !a.empty()) o.attention_axes = Axes(std::vector<int>(a.begin(), a.end()));
  return MultiHeadAttention(c.at("num_heads").as_int(), c.at("key_dim").as_int(), o);
}
GroupQueryAttention::GroupQueryAttention(int64_t head_dim, int64_t num_query_heads, int64_t num_key_value_heads,
                                         const GroupQueryAttentionOptions& o)
    : Layer(make_impl<HeadsImpl<GroupQueryAttentionOptions>>(num_query_heads, num_key_value_heads, head_dim, o)) {}
Layer GroupQueryAttention::from_config(const Dict& c) {
  return GroupQueryAttention(c.at("head_dim").as_int(), c.at("num_query_heads").as_int(), c.at("num_key_value_heads").as_int(),
                             options_from<GroupQueryAttentionOptions>(c, "GroupQueryAttention"));
}

}  // namespace keras::layers
