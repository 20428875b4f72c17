// What lives here: ZeroPadding, Cropping and UpSampling, each written once for all ranks.
#include <keras/layers/reshaping/spatial.h>
#include <keras/ops.h>

#include <algorithm>
#include <fmt/format.h>

#include "layers/layer_impl.h"
#include "layers/read_sizes.h"
#include "prims/build.h"

namespace keras::layers {

Edges::Edges(const Value& v) {
  if (!v.is_list()) {
    all_ = true;
    one_ = {v.as_int()};
    return;
  }
  // Keras takes pairs and numbers mixed.
  bool pairs = false;
  for (const Value& e : v.as_list()) pairs |= e.is_list();
  for (const Value& e : v.as_list()) {
    if (!pairs) {
      one_.push_back(e.as_int());
      continue;
    }
    std::vector<int64_t> p = e.is_list() ? e.as_ints() : std::vector<int64_t>(2, e.as_int());
    if (p.size() != 2) throw ValueError(ErrorText{.what = "each axis has two ends", .expected = "(before, after)", .received = e.str()}.str());
    both_.push_back({p[0], p[1]});
  }
}

std::vector<Edges::Pair> Edges::expand(int rank, const std::string& where, const char* what) const {
  std::vector<Pair> out = both_;
  size_t n = static_cast<size_t>(rank), given = both_.empty() ? one_.size() : both_.size();
  if (both_.empty()) {
    if (all_) out.assign(n, {one_[0], one_[0]});
    else if (rank == 1 && one_.size() == 2) out = {{one_[0], one_[1]}};
    else
      for (int64_t v : one_) out.push_back({v, v});
  }
  if (out.size() != n || (rank == 1 && both_.empty() && !all_ && one_.size() != 2))
    throw ValueError(ErrorText{.what = fmt::format("`{}` has {} elements", what, given), .where = where,
                               .expected = rank == 1 ? "one number, or (before, after)" : fmt::format("one number, {} numbers, or {} pairs (before, after)", rank, rank)}.str());
  for (const Pair& p : out)
    if (p[0] < 0 || p[1] < 0)
      throw ValueError(ErrorText{.what = fmt::format("`{}` can't be negative", what), .where = where, .expected = "numbers >= 0", .received = fmt::format("({}, {})", p[0], p[1])}.str());
  return out;
}

namespace {

std::string size_words(int64_t d) { return d < 0 ? "None" : std::to_string(d); }

/// Which axes are spatial, of an input of `rank` of them.
struct SpatialImpl : LayerImpl {
  int rank = 1;
  bool channels_first = false;
  std::string data_format;

  void init_spatial(int spatial_rank, const std::optional<std::string>& format) {
    rank = spatial_rank;
    data_format = format.value_or(config::image_data_format());
    if (data_format != "channels_last" && data_format != "channels_first")
      throw ValueError(ErrorText{.what = class_name_ + ": data_format is unknown", .where = where(), .expected = "\"channels_last\" or \"channels_first\"", .received = data_format}.str());
    channels_first = data_format == "channels_first";
    symbolic_in_compute_dtype_ = true;
    input_spec_ = {{.ndim = rank + 2}};
  }
  int axis(int i) const { return i + (channels_first ? 2 : 1); }
  static Value pairs_value(const std::vector<Edges::Pair>& pairs) {
    List l;
    for (const auto& p : pairs) l.push_back(List{p[0], p[1]});
    return pairs.size() == 1 ? l[0] : Value(l);
  }
  /// One sentence per axis: those of the spatial axes by `sentence(i, input size, output size)`.
  Explanation spatial_explanation(const Shape& in, const Shape& out, const std::function<std::string(int, std::string, std::string)>& sentence) const {
    Explanation e;
    for (int i = 0; i < out.rank(); ++i) {
      int k = i - axis(0);
      if (k >= 0 && k < rank) e.axes.push_back(sentence(k, size_words(in[i]), size_words(out[i])));
      else e.axes.push_back(i == 0 ? "batch, as it came in" : "the channels, as they came in");
    }
    e.notes.push_back(class_name_ + " has no parameters");
    return e;
  }
};

struct ZeroPaddingImpl : SpatialImpl {
  std::vector<Edges::Pair> padding;
  ZeroPaddingImpl(int spatial_rank, const Edges& p, const ZeroPaddingOptions& o) {
    init_common(fmt::format("ZeroPadding{}D", spatial_rank), o);
    init_spatial(spatial_rank, o.data_format);
    padding = p.expand(rank, where(), "padding");
  }
  Tensors call(const Call& c) override {
    const Tensor& x = c.input();
    prims::Ints lo(static_cast<size_t>(x.rank()), 0), hi = lo, inside = lo;
    for (int i = 0; i < rank; ++i) {
      size_t a = static_cast<size_t>(axis(i));
      lo[a] = padding[static_cast<size_t>(i)][0], hi[a] = padding[static_cast<size_t>(i)][1];
    }
    return {prims::pad(x, prims::scalar(x, 0), lo, hi, inside)};
  }
  Dict own_config() const override { return {{"padding", pairs_value(padding)}, {"data_format", data_format}}; }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    return spatial_explanation(in[0], out[0], [&](int i, const std::string& from, const std::string& to) {
      const auto& p = padding[static_cast<size_t>(i)];
      return fmt::format("{} zeros before, {} after: {} + {} + {} = {}", p[0], p[1], p[0], from, p[1], to);
    });
  }
};

struct CroppingImpl : SpatialImpl {
  std::vector<Edges::Pair> cropping;
  template <class Options> CroppingImpl(int spatial_rank, const Edges& p, const Options& o, const std::optional<std::string>& format) {
    init_common(fmt::format("Cropping{}D", spatial_rank), o);
    init_spatial(spatial_rank, format);
    cropping = p.expand(rank, where(), "cropping");
  }
  Tensors call(const Call& c) override {
    const Tensor& x = c.input();
    prims::Ints from(static_cast<size_t>(x.rank()), 0), to(from.size(), prims::kToEnd), step(from.size(), 1);
    Shape result = x.shape();
    for (int i = 0; i < rank; ++i) {
      const auto& p = cropping[static_cast<size_t>(i)];
      size_t a = static_cast<size_t>(axis(i));
      int64_t size = x.shape()[axis(i)];
      from[a] = p[0];
      if (size < 0) continue;
      to[a] = size - p[1];
      if (to[a] <= from[a])
        throw ValueError(ErrorText{.what = fmt::format("the cropping leaves nothing of axis {}", axis(i)), .where = where(), .expected = fmt::format("less than {} cut off in all", size),
                                   .received = fmt::format("({}, {}) for an input of shape {}", p[0], p[1], x.shape().str())}.str());
    }
    return {prims::slice(x, from, to, step)};
  }
  Dict own_config() const override {
    Dict d{{"cropping", pairs_value(cropping)}};
    if (rank > 1) d.set("data_format", data_format);
    return d;
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    return spatial_explanation(in[0], out[0], [&](int i, const std::string& from, const std::string& to) {
      const auto& p = cropping[static_cast<size_t>(i)];
      return fmt::format("{} cut off before, {} after: {} - {} - {} = {}", p[0], p[1], from, p[0], p[1], to);
    });
  }
};

struct UpSamplingImpl : SpatialImpl {
  std::vector<int64_t> size;
  std::string interpolation;
  template <class Options>
  UpSamplingImpl(int spatial_rank, const Sizes& s, const Options& o, const std::optional<std::string>& format, std::string how) : interpolation(std::move(how)) {
    init_common(fmt::format("UpSampling{}D", spatial_rank), o);
    init_spatial(spatial_rank, format);
    size = s.expand(static_cast<size_t>(rank), "size");
    for (int64_t n : size)
      if (n < 1)
        throw ValueError(ErrorText{.what = class_name_ + ": size must be positive", .where = where(), .expected = "whole numbers >= 1", .received = std::to_string(n)}.str());
    for (char& ch : interpolation) ch = static_cast<char>(std::tolower(static_cast<unsigned char>(ch)));
    static const std::vector<std::string> known{"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"};
    if (std::find(known.begin(), known.end(), interpolation) == known.end())
      throw ValueError(ErrorText{.what = class_name_ + ": unknown interpolation '" + interpolation + "'" + did_you_mean(interpolation, known), .where = where(),
                                 .expected = "\"nearest\", \"bilinear\", \"bicubic\", \"lanczos3\" or \"lanczos5\""}.str());
  }
  Tensors call(const Call& c) override {
    Tensor x = c.input();
    if (interpolation == "nearest") {
      for (int i = 0; i < rank; ++i) x = ops::repeat(x, size[static_cast<size_t>(i)], axis(i));
      return {x};
    }
    const Shape& s = x.shape();
    if (s[axis(0)] < 0 || s[axis(1)] < 0) {  // only shapes matter: the weights of the interpolation need sizes
      Shape to = s;
      for (int i = 0; i < rank; ++i) to[axis(i)] = s[axis(i)] < 0 ? None : s[axis(i)] * size[static_cast<size_t>(i)];
      Shape one(std::vector<int64_t>(static_cast<size_t>(s.rank()), 1));
      return {prims::broadcast_to(prims::reshape(prims::scalar(x, 0), one), to)};
    }
    return {ops::image::resize(x, Sizes(std::vector<int64_t>{s[axis(0)] * size[0], s[axis(1)] * size[1]}), interpolation, false, false, false, "constant", 0.0, data_format)};
  }
  Dict own_config() const override {
    if (rank == 1) return {{"size", size[0]}};
    Dict d{{"size", Value(size)}, {"data_format", data_format}};
    if (rank == 2) d.set("interpolation", interpolation);
    return d;
  }
  Explanation explain(const std::vector<Shape>& in, const std::vector<Shape>& out) const override {
    return spatial_explanation(in[0], out[0], [&](int i, const std::string& from, const std::string& to) {
      int64_t n = size[static_cast<size_t>(i)];
      return fmt::format("{} times as long ({}): {} * {} = {}", n, interpolation == "nearest" ? "each element repeated" : interpolation + " interpolation", from, n, to);
    });
  }
};


}  // namespace

ZeroPadding1D::ZeroPadding1D(const Edges& p, const ZeroPaddingOptions& o) : Layer(make_impl<ZeroPaddingImpl>(1, p, o)) {}
Layer ZeroPadding1D::from_config(const Dict& c) { return ZeroPadding1D(Edges(c.at("padding")), options_from<ZeroPaddingOptions>(c, "ZeroPadding1D")); }
ZeroPadding2D::ZeroPadding2D(const Edges& p, const ZeroPaddingOptions& o) : Layer(make_impl<ZeroPaddingImpl>(2, p, o)) {}
Layer ZeroPadding2D::from_config(const Dict& c) { return ZeroPadding2D(Edges(c.at("padding")), options_from<ZeroPaddingOptions>(c, "ZeroPadding2D")); }
ZeroPadding3D::ZeroPadding3D(const Edges& p, const ZeroPaddingOptions& o) : Layer(make_impl<ZeroPaddingImpl>(3, p, o)) {}
Layer ZeroPadding3D::from_config(const Dict& c) { return ZeroPadding3D(Edges(c.at("padding")), options_from<ZeroPaddingOptions>(c, "ZeroPadding3D")); }

Cropping1D::Cropping1D(const Edges& p, const Cropping1DOptions& o) : Layer(make_impl<CroppingImpl>(1, p, o, std::nullopt)) {}
Layer Cropping1D::from_config(const Dict& c) { return Cropping1D(Edges(c.at("cropping")), common_options_from<Cropping1DOptions>(c)); }
Cropping2D::Cropping2D(const Edges& p, const CroppingOptions& o) : Layer(make_impl<CroppingImpl>(2, p, o, o.data_format)) {}
Layer Cropping2D::from_config(const Dict& c) { return Cropping2D(Edges(c.at("cropping")), options_from<CroppingOptions>(c, "Cropping2D")); }
Cropping3D::Cropping3D(const Edges& p, const CroppingOptions& o) : Layer(make_impl<CroppingImpl>(3, p, o, o.data_format)) {}
Layer Cropping3D::from_config(const Dict& c) { return Cropping3D(Edges(c.at("cropping")), options_from<CroppingOptions>(c, "Cropping3D")); }

UpSampling1D::UpSampling1D(int64_t size, const UpSampling1DOptions& o) : Layer(make_impl<UpSamplingImpl>(1, Sizes(size), o, std::nullopt, "nearest")) {}
Layer UpSampling1D::from_config(const Dict& c) { return UpSampling1D(c.at("size").as_int(), common_options_from<UpSampling1DOptions>(c)); }
UpSampling2D::UpSampling2D(const Sizes& size, const UpSampling2DOptions& o) : Layer(make_impl<UpSamplingImpl>(2, size, o, o.data_format, o.interpolation)) {}
Layer UpSampling2D::from_config(const Dict& c) { return UpSampling2D(read_sizes(c.at("size")), options_from<UpSampling2DOptions>(c, "UpSampling2D")); }
UpSampling3D::UpSampling3D(const Sizes& size, const UpSampling3DOptions& o) : Layer(make_impl<UpSamplingImpl>(3, size, o, o.data_format, "nearest")) {}
Layer UpSampling3D::from_config(const Dict& c) { return UpSampling3D(read_sizes(c.at("size")), options_from<UpSampling3DOptions>(c, "UpSampling3D")); }

}  // namespace keras::layers
