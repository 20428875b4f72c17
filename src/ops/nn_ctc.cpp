// What lives here: connectionist temporal classification: the loss (Graves et al. 2006) and its decoders.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <keras/ops/nn.h>
#include <keras/ops/numpy.h>

#include "ops/op_frame.h"

namespace keras::ops {

static constexpr double kLogZero = -1e5;  // Keras' stand-in for log 0

Tensor ctc_loss(const Tensor& target, const Tensor& output, const Tensor& target_length, const Tensor& output_length, int64_t mask_index) {
  return frame(
      "CTCLoss", [&] { return ArgDict{kw("mask_index", mask_index)}; },
      [mask_index](const Tensor& y0, const Tensor& o0, const Tensor& yl0, const Tensor& ol0) {
        if ((y0.rank() != 2 || o0.rank() != 3) && !abstract_trace())
          shape_error("ctc_loss", "targets and outputs of another rank", "targets (batch, labels) and outputs (batch, time, classes)",
                      y0.shape().str() + " and " + o0.shape().str());
        DType t = o0.dtype() == DType::Float64 ? DType::Float64 : DType::Float32;
        if (y0.rank() != 2 || o0.rank() != 3) return shape_only(t, o0.shape().slice(0, 1));
        Tensor y = as(y0, DType::Int32), o = as(o0, t), target_len = as(yl0, DType::Int32), output_len = as(ol0, DType::Int32);
        int64_t B = o.shape()[0], T = o.shape()[1], K = o.shape()[2], N = y.shape()[1];
        if (B < 0) B = y.shape()[0];
        if (B < 0 || T < 0 || K < 0 || N < 0) return shape_only(t, Shape{B});
        if (y.shape()[0] != B) shape_error("ctc_loss", "targets and outputs differ in batch size", std::to_string(B), y.shape().str());
        auto log_add = [](const Tensor& a, const Tensor& b) { return logaddexp(a, b); };
        Tensor log_prob = log_softmax(o);
        // 1 where a label is followed by itself.
        Tensor repeated = as(p::ew(Ew::equal, p::slice_axis(y, 1, 0, N - 1), p::slice_axis(y, 1, 1, N)), t);
        repeated = p::pad(repeated, num(repeated, 0), Ints{0, 0}, Ints{0, 1}, Ints{0, 0});
        Tensor blank = p::transpose(p::slice_axis(log_prob, 2, mask_index, mask_index + 1), Ints{1, 0, 2});   // (T, B, 1)
        Tensor emit = p::transpose(einsum("btk,bnk->btn", {log_prob, one_hot(y, K, -1, t)}), Ints{1, 0, 2});  // (T, B, N)
        Tensor padded = as(p::ew(Ew::greater_equal, iota(DType::Int32, Shape{B, T}, 1), p::reshape(output_len, Shape{B, 1})), t);
        padded = p::reshape(p::transpose(padded, Ints{1, 0}), Shape{T, B, 1});

        Tensor low = p::broadcast_to(Tensor::full({}, kLogZero, t), Shape{B, N});
        Tensor phi0 = p::concat(Tensors{p::broadcast_to(Tensor::full({}, 0, t), Shape{B, 1}), low}, 1);
        auto with_score = [&](const Tensor& phi, const Tensor& score) {  // all but the first state take another path in
          return p::concat(Tensors{p::slice_axis(phi, 1, 0, 1), log_add(p::slice_axis(phi, 1, 1, N + 1), score)}, 1);
        };
        Tensor not_repeated = p::mul(p::sub(num(repeated, 1), repeated), kLogZero), is_repeated = p::mul(repeated, kLogZero);
        auto r = core::scan(
            [&](const Tensors& s, const Tensors& x) -> std::pair<Tensors, Tensors> {
              const Tensor &phi_before = s[0], &emit_before = s[1], &log_emit = x[0], &log_blank = x[1], &pad = x[2];
              Tensor phi = with_score(phi_before, p::add(emit_before, is_repeated));
              Tensor next_emit = log_add(p::add(p::slice_axis(phi, 1, 0, N), log_emit), p::add(emit_before, log_emit));
              Tensor next_phi = with_score(p::add(phi, log_blank), p::add(p::add(emit_before, log_blank), not_repeated));
              Tensor over = p::ew(Ew::greater, pad, num(pad, 0));
              return {{p::select(over, phi_before, next_phi), p::select(over, emit_before, next_emit)}, {}};
            },
            {phi0, low}, {emit, blank, padded});
        Tensor last = with_score(r.states[0], r.states[1]);
        Tensor place = one_hot(p::ew(Ew::minimum, target_len, num(target_len, static_cast<double>(N))), N + 1, -1, t);
        return p::neg(p::reduce_sum(p::mul(last, place), Ints{1}));
      },
      target, output, target_length, output_length);
}

static std::pair<Tensor, Tensor> greedy(const Tensor& x, const Tensor& lengths, bool merge_repeated, int64_t mask_index) {
  int64_t B = x.shape()[0], T = x.shape()[1];
  if (B < 0 || T < 0) return {shape_only(DType::Int32, Shape{1, B, T}), shape_only(x.dtype(), Shape{B, 1})};
  Tensor index = argmax(x, -1), score = p::reduce(p::reduce_max_prim, x, Ints{2});
  Tensor over = p::ew(Ew::greater_equal, iota(DType::Int32, Shape{B, T}, 1), p::reshape(as(lengths, DType::Int32), Shape{B, 1}));
  Tensor blank = num(index, static_cast<double>(mask_index));
  index = p::select(over, blank, index);
  score = p::select(over, num(score, 0), score);
  if (merge_repeated && T > 1) {
    Tensor again = p::ew(Ew::equal, p::slice_axis(index, 1, 1, T), p::slice_axis(index, 1, 0, T - 1));
    again = p::pad(as(again, DType::Int32), num(index, 0), Ints{0, 1}, Ints{0, 0}, Ints{0, 0});
    index = p::select(p::ew(Ew::equal, again, num(index, 1)), blank, index);
  }
  Tensor none = p::ew(Ew::equal, index, blank);
  index = p::select(none, num(index, -1), index);
  // Labels first, in order; what was dropped last.
  Tensor order = argsort(p::select(none, num(index, static_cast<double>(T)), iota(DType::Int32, Shape{B, T}, 1)), -1);
  index = p::take_along_axis(index, order, 1);
  return {p::reshape(index, Shape{1, B, T}), p::neg(p::reduce_sum(score, Ints{1}, true))};
}

// Prefix beam search on the host, with the tie-breaking of Keras: classes are compared in reverse.
namespace {
constexpr double kNever = -std::numeric_limits<double>::infinity();
double log_sum(double a, double b) {
  if (a == kNever) return b;
  if (b == kNever) return a;
  return std::max(a, b) + std::log1p(std::exp(-std::abs(a - b)));
}
using Path = std::vector<int>;
struct Score {
  double emitted = kNever, masked = kNever;  // last step was a label, or the mask
  double total() const { return log_sum(emitted, masked); }
};
/// Log probabilities (time, classes) of one sequence → its best paths.
std::vector<std::pair<Path, double>> search(const std::vector<double>& log_prob, int64_t steps, int classes, int mask, int64_t beam_width,
                                            int64_t top_paths) {
  auto at = [&](int64_t t, int c) { return log_prob[static_cast<size_t>(t * classes + (classes - 1 - c))]; };
  int blank = classes - 1 - mask;
  auto best_of = [](std::vector<std::pair<Path, Score>> all, int64_t n) {  // ascending by score, equal ones in the order of paths
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.second.total() < b.second.total(); });
    if (static_cast<int64_t>(all.size()) > n) all.erase(all.begin(), all.end() - n);
    return all;
  };
  std::vector<int> order(static_cast<size_t>(classes));
  for (int c = 0; c < classes; ++c) order[static_cast<size_t>(c)] = c;
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return at(0, a) < at(0, b); });
  std::vector<std::pair<Path, Score>> beams;
  for (int64_t i = std::max<int64_t>(0, classes - beam_width); i < classes; ++i) {
    int c = order[static_cast<size_t>(i)];
    if (c == blank) beams.push_back({{}, {kNever, at(0, c)}});
    else beams.push_back({{c}, {at(0, c), kNever}});
  }
  for (int64_t t = 1; t < steps; ++t) {
    std::map<Path, Score> next;
    for (const auto& [path, score] : beams) {
      for (int c = 0; c < classes; ++c) {
        double x = at(t, c);
        if (c == blank) {
          Score& s = next[path];
          s.masked = log_sum(s.masked, score.total() + x);
          continue;
        }
        Path longer = path;
        longer.push_back(c);
        bool same = !path.empty() && path.back() == c;
        if (same) {  // without the mask in between it is the same label going on
          Score& s = next[path];
          s.emitted = log_sum(s.emitted, score.emitted + x);
        }
        double from = same ? score.masked : score.total();
        if (from == kNever) continue;
        Score& s = next[longer];
        s.emitted = log_sum(s.emitted, from + x);
      }
    }
    beams = best_of({next.begin(), next.end()}, beam_width);
  }
  std::sort(beams.begin(), beams.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  beams = best_of(std::move(beams), top_paths);
  std::vector<std::pair<Path, double>> out;
  for (size_t i = beams.size(); i-- > 0;) {
    Path p = beams[i].first;
    for (int& c : p) c = classes - 1 - c;
    out.emplace_back(std::move(p), beams[i].second.total());
  }
  out.resize(static_cast<size_t>(top_paths), {{}, kNever});
  return out;
}
}  // namespace
static std::pair<Tensor, Tensor> beam_search(const Tensor& x, const Tensor& lengths, int64_t beam_width, int64_t top_paths,
                                             int64_t mask_index) {
  int64_t B = x.shape()[0], T = x.shape()[1], K = x.shape()[2];
  Shape path_shape{top_paths, B, T}, score_shape{B, top_paths};
  if (!x.is_concrete() || !lengths.is_concrete()) {
    if (abstract_trace()) return {shape_only(DType::Int32, path_shape), shape_only(x.dtype(), score_shape)};
    throw NotImplementedError(ErrorText{
        .what = "beam search inside a compiled step", .where = "ctc_decode", .fix = "decode the predictions, or use strategy 'greedy'"}
                                  .str());
  }
  std::vector<double> logs = log_softmax(x).to_vector<double>();
  std::vector<int64_t> length = lengths.to_vector<int64_t>();
  Ints paths(static_cast<size_t>(top_paths * B * T), -1);
  std::vector<double> scores(static_cast<size_t>(B * top_paths));
  for (int64_t b = 0; b < B; ++b) {
    std::vector<double> own(logs.begin() + b * T * K, logs.begin() + (b + 1) * T * K);
    auto found = search(own, std::max<int64_t>(1, std::min(T, length[static_cast<size_t>(b)])), static_cast<int>(K),
                        static_cast<int>(mask_index), beam_width, top_paths);
    for (int64_t k = 0; k < top_paths; ++k) {
      const auto& [path, score] = found[static_cast<size_t>(k)];
      for (size_t i = 0; i < path.size(); ++i) paths[static_cast<size_t>((k * B + b) * T) + i] = path[i];
      scores[static_cast<size_t>(b * top_paths + k)] = score;
    }
  }
  return {int_tensor(paths, path_shape), Tensor::from(scores, score_shape).astype(x.dtype())};
}
std::pair<Tensor, Tensor> ctc_decode(const Tensor& inputs, const Tensor& sequence_lengths, std::string_view strategy, int64_t beam_width,
                                     int64_t top_paths, bool merge_repeated, int64_t mask_index) {
  if (strategy != "greedy" && strategy != "beam_search") unknown_option("ctc_decode", "strategy", strategy, {"greedy", "beam_search"});
  bool beams = strategy == "beam_search";
  return frame(
      "CTCDecode",
      [&] {
        return ArgDict{kw("strategy", strategy), kw("beam_width", beam_width), kw("top_paths", top_paths),
                       kw("merge_repeated", merge_repeated), kw("mask_index", mask_index)};
      },
      [=](const Tensor& x0, const Tensor& lengths) {
        if (x0.rank() != 3) shape_error("ctc_decode", "inputs of another rank", "(batch, time, classes)", x0.shape().str());
        Tensor x = as(x0, x0.dtype() == DType::Float64 ? DType::Float64 : DType::Float32);
        return beams ? beam_search(x, lengths, beam_width, top_paths, mask_index) : greedy(x, lengths, merge_repeated, mask_index);
      },
      inputs, sequence_lengths);
}

}  // namespace keras::ops
