// What lives here: make_dot. A dot is collapsed into matrices with strides (copied through scratch only where that cannot be), cut into
// pieces by shape alone, and each piece is given to oneDNN or to our own loops by a rule on its sizes.
#include "cpu/dot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>

#include <keras/base/error.h>

#include "cpu/dnnl_runtime.h"
#include "cpu/dot_gemm.h"
#include "cpu/float_bridge.h"
#include "cpu/thread_pool.h"

namespace keras::cpu {
namespace {

constexpr double kPieceFlops = 2e6;  // about what waking a thread must earn
// Pieces of large products share what they pack of the operands, so the fewer the better: more than a few only where each is still large.
constexpr double kFewPieces = 8, kMostPieces = 32, kLargePieceFlops = 5e8;

// ---------------------------------------------------------------------------------------------------------------- axes

struct Axis {
  int64_t size, stride;
};
using Axes = std::vector<Axis>;

int64_t product(const Axes& axes) {
  return std::accumulate(axes.begin(), axes.end(), int64_t{1}, [](int64_t p, const Axis& a) { return p * a.size; });
}

std::vector<int64_t> row_major(const Shape& s) {
  std::vector<int64_t> strides(s.size(), 1);
  for (int i = s.rank() - 2; i >= 0; --i)
    strides[static_cast<size_t>(i)] = strides[static_cast<size_t>(i) + 1] * std::max<int64_t>(s[i + 1], 1);
  return strides;
}

// Neighbours merged where one stride walks both; sizes of 1 dropped.
Axes merged(const Axes& axes) {
  Axes out;
  for (const Axis& a : axes) {
    if (a.size == 1) continue;
    if (!out.empty() && out.back().stride == a.size * a.stride) out.back() = {out.back().size * a.size, a.stride};
    else out.push_back(a);
  }
  return out;
}

// One matrix side as a single axis, if it is one.
bool single(const Axes& axes, Axis* out) {
  const Axes m = merged(axes);
  if (m.size() > 1) return false;
  *out = m.empty() ? Axis{1, 0} : m[0];
  return true;
}

// Brings the strides of a rows × cols matrix into the form that oneDNN takes: one of them 1, the other no less than what it skips.
bool fit_strides(int64_t rows, int64_t cols, int64_t* rs, int64_t* cs) {
  if (cols == 1 && rows == 1) *rs = *cs = 1;
  else if (cols == 1) *cs = *rs == 1 ? rows : 1;
  else if (rows == 1) *rs = *cs == 1 ? cols : 1;
  return (*cs == 1 && *rs >= cols) || (*rs == 1 && *cs >= rows);
}

// ---------------------------------------------------------------------------------------------------------------- packing

// A dense copy of a strided view, axes outermost first.
struct Pack {
  Axes axes;
  size_t bytes = 0;
};

template <class E> void copy_matrix(E* to, const E* from, int64_t rows, int64_t cols, int64_t rs, int64_t cs) {
  if (cs == 1) {
    for (int64_t r = 0; r < rows; ++r) std::memcpy(to + r * cols, from + r * rs, static_cast<size_t>(cols) * sizeof(E));
    return;
  }
  constexpr int64_t kTile = 16;
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    const int64_t r1 = std::min(rows, r0 + kTile);
    for (int64_t c0 = 0; c0 < cols; c0 += kTile) {
      const int64_t c1 = std::min(cols, c0 + kTile);
      for (int64_t r = r0; r < r1; ++r) {
        for (int64_t c = c0; c < c1; ++c) to[r * cols + c] = from[r * rs + c * cs];
      }
    }
  }
}

template <class E> void run_pack(const Axes& axes, void* to, const void* from) {
  const size_t n = axes.size();
  const Axis inner = n > 0 ? axes[n - 1] : Axis{1, 1};
  // The axis that shares tiles with the innermost: the one of stride 1 where there is one, so that tiles read whole cache lines.
  const Axis rows = n > 1 ? axes[n - 2] : Axis{1, 0};
  int64_t outer = 1;
  for (size_t i = 0; i + 2 < n; ++i) outer *= axes[i].size;
  const int64_t block = std::max<int64_t>(1, std::min(rows.size, (int64_t{1} << 14) / std::max<int64_t>(inner.size, 1) / 16 * 16 + 16));
  const int64_t blocks = (rows.size + block - 1) / block;
  const int64_t grain = std::max<int64_t>(1, (int64_t{1} << 15) / std::max<int64_t>(1, block * inner.size));
  parallel_for(outer * blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      int64_t rest = at / blocks, offset = 0;
      const int64_t r0 = at % blocks * block, r1 = std::min(rows.size, r0 + block);
      const int64_t target = (at / blocks * rows.size + r0) * inner.size;
      for (size_t i = n >= 2 ? n - 2 : 0; i-- > 0;) {
        offset += rest % axes[i].size * axes[i].stride;
        rest /= axes[i].size;
      }
      copy_matrix(static_cast<E*>(to) + target, static_cast<const E*>(from) + offset + r0 * rows.stride, r1 - r0, inner.size, rows.stride,
                  inner.stride);
    }
  });
}

void run_pack(const Pack& p, size_t element, void* to, const void* from) {
  switch (element) {
    case 1: return run_pack<uint8_t>(p.axes, to, from);
    case 2: return run_pack<uint16_t>(p.axes, to, from);
    case 4: return run_pack<uint32_t>(p.axes, to, from);
    default: return run_pack<uint64_t>(p.axes, to, from);
  }
}

// ---------------------------------------------------------------------------------------------------------------- integers

template <class T> void integer_gemm(const Gemm& g) {
  using U =
      std::conditional_t<std::is_same_v<T, bool>, unsigned, std::make_unsigned_t<std::conditional_t<std::is_same_v<T, bool>, int, T>>>;
  const T* a = static_cast<const T*>(g.a);
  const T* b = static_cast<const T*>(g.b);
  T* c = static_cast<T*>(g.c);
  for (int64_t i = 0; i < g.m; ++i) {
    T* row = c + i * g.c_ld;
    if constexpr (std::is_same_v<T, bool>) {
      for (int64_t j = 0; j < g.n; ++j) {
        bool any = false;
        for (int64_t k = 0; k < g.k && !any; ++k) any = a[i * g.a_rs + k * g.a_cs] && b[k * g.b_rs + j * g.b_cs];
        row[j] = any;
      }
    } else if (g.b_cs == 1) {
      std::fill(row, row + g.n, T{0});
      for (int64_t k = 0; k < g.k; ++k) {
        const U x = static_cast<U>(a[i * g.a_rs + k * g.a_cs]);
        const T* from = b + k * g.b_rs;
        // 16-bit products overflow int, so multiply as 32-bit unsigned.
        for (int64_t j = 0; j < g.n; ++j)
          row[j] = static_cast<T>(static_cast<U>(static_cast<U>(row[j]) + static_cast<U>(1u * x * static_cast<U>(from[j]))));
      }
    } else {
      for (int64_t j = 0; j < g.n; ++j) {
        U sum = 0;
        for (int64_t k = 0; k < g.k; ++k)
          sum = static_cast<U>(sum + 1u * static_cast<U>(a[i * g.a_rs + k * g.a_cs]) * static_cast<U>(b[k * g.b_rs + j * g.b_cs]));
        row[j] = static_cast<T>(sum);
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------- pieces

// How one size is cut: `count` pieces of `size`, the last one shorter.
struct Cut {
  int64_t total = 1, size = 1, count = 1;
  Cut() = default;
  Cut(int64_t total_, int64_t pieces, int64_t align) : total(total_) {
    size = (total + pieces - 1) / pieces;
    if (pieces > 1) size = (size + align - 1) / align * align;
    size = std::max<int64_t>(1, std::min(size, total));
    count = std::max<int64_t>(1, (total + size - 1) / size);
  }
  int64_t at(int64_t i) const { return std::min(size, total - i * size); }
  bool tail(int64_t i) const { return at(i) != size; }
};

enum class Engine { Fill, Own, Rows, Dnnl, Integer };

class DotKernel final : public engine::Kernel {
 public:
  explicit DotKernel(const DotDesc& desc);
  /// False where oneDNN would run its slow reference code.
  bool good() const { return good_; }
  size_t scratch_bytes() const override { return total_scratch_; }
  size_t prepared_bytes(size_t input) const override;
  void prepare(size_t input, const void* from, void* to, void* scratch) const override;
  void take_prepared(size_t input) override;
  const char* describe() const override { return text_.c_str(); }
  void run(void* const* in, void* const* out, void* scratch) const override;

 private:
  bool is_a(size_t input) const { return (input == 0) != swapped_; }
  // The form in which an operand that seldom changes is best kept: b in strips where our loops read it as such, else the dense copy that
  // would be made in every run.
  bool wants_strips() const;
  int64_t strips_size() const { return gemm_strips_size(dtype_, k_, n_); }
  struct Pointers {
    const char *a, *b, *bias, *add;
    char *c, *partial;
  };
  void collapse(const DotDesc& desc);
  void lay_out();
  void cut();
  void cut_strips(double flops);
  Engine choose(int64_t m) const;
  void prepare_calls();
  void piece(const Pointers& p, int64_t batch, int64_t mi, int64_t ni, int64_t ki, char* slot) const;
  void combine(const Pointers& p) const;
  size_t variant(int64_t mi, int64_t ni, int64_t ki) const {
    return static_cast<size_t>(m_cut_.tail(mi)) * 4 + static_cast<size_t>(n_cut_.tail(ni)) * 2 + static_cast<size_t>(k_cut_.tail(ki));
  }

  DType dtype_;
  size_t element_;
  Epilogue epilogue_;
  int64_t m_ = 1, n_ = 1, k_ = 1, batch_ = 1, columns_ = 1;
  bool swapped_ = false;    // a single column is computed as a row
  Axes a_batch_, b_batch_;  // of equal sizes, outermost first
  int64_t a_rs_ = 0, a_cs_ = 0, b_rs_ = 0, b_cs_ = 0;
  Pack a_pack_, b_pack_;
  bool a_packed_ = false, b_packed_ = false;  // the operand comes as a dense copy already
  bool strips_ = false;                       // b comes in strips (dot_gemm.h)
  int64_t b_from_rs_ = 0, b_from_cs_ = 0;     // of what the strips are made of
  Axes b_from_batch_;
  Cut m_cut_, n_cut_, k_cut_;
  int64_t batch_grain_ = 1;
  std::array<Engine, 8> engine_{};
  std::array<DnnlCallPtr, 8> calls_;
  bool uses_dnnl_ = false, good_ = true;
  bool fused_ = false;                                     // the epilogue is part of our own loops
  bool copy_a_ = false, copy_b_ = false, copy_c_ = false;  // pieces for oneDNN through dense copies
  size_t call_bytes_ = 0, copy_a_bytes_ = 0, copy_b_bytes_ = 0;
  size_t slot_bytes_ = 0, partial_bytes_ = 0, total_scratch_ = 0;
  int slots_ = 1;
  std::string text_;
};

void check(const DotDesc& d) {
  const auto fail = [&](const char* what) {
    throw ValueError(ErrorText{.what = what, .where = "dot", .received = d.lhs.str() + " and " + d.rhs.str()}.str());
  };
  if (!d.lhs.is_static() || !d.rhs.is_static()) fail("sizes must be known");
  if (d.lhs_contract.size() != d.rhs_contract.size() || d.lhs_batch.size() != d.rhs_batch.size())
    fail("contracted and batch axes must come in pairs");
  const auto pairs = [&](const std::vector<int>& l, const std::vector<int>& r, std::vector<bool>& lu, std::vector<bool>& ru) {
    for (size_t i = 0; i < l.size(); ++i) {
      if (l[i] < 0 || l[i] >= d.lhs.rank() || r[i] < 0 || r[i] >= d.rhs.rank()) fail("an axis is outside the rank");
      if (lu[static_cast<size_t>(l[i])] || ru[static_cast<size_t>(r[i])]) fail("an axis is named twice");
      lu[static_cast<size_t>(l[i])] = ru[static_cast<size_t>(r[i])] = true;
      if (d.lhs[l[i]] != d.rhs[r[i]]) fail("sizes of paired axes differ");
    }
  };
  std::vector<bool> lu(d.lhs.size()), ru(d.rhs.size());
  pairs(d.lhs_batch, d.rhs_batch, lu, ru);
  pairs(d.lhs_contract, d.rhs_contract, lu, ru);
  if (d.epilogue.bias && dot_shape(d).empty()) fail("a bias needs an output axis");
  check_epilogue(d.epilogue, d.dtype, "dot");
}

std::vector<int> free_axes(const Shape& s, const std::vector<int>& contract, const std::vector<int>& batch) {
  std::vector<int> out;
  for (int i = 0; i < s.rank(); ++i) {
    if (std::find(contract.begin(), contract.end(), i) == contract.end() && std::find(batch.begin(), batch.end(), i) == batch.end())
      out.push_back(i);
  }
  return out;
}

Axes pick(const Shape& s, const std::vector<int>& axes) {
  const std::vector<int64_t> strides = row_major(s);
  Axes out;
  for (const int a : axes) out.push_back({s[a], strides[static_cast<size_t>(a)]});
  return out;
}

Axes joined(std::initializer_list<Axes> groups) {
  Axes out;
  for (const Axes& g : groups) out.insert(out.end(), g.begin(), g.end());
  return out;
}

DotKernel::DotKernel(const DotDesc& desc) : dtype_(desc.dtype), element_(dtype_size(desc.dtype)), epilogue_(desc.epilogue) {
  collapse(desc);
  lay_out();
}

bool DotKernel::wants_strips() const {
  if (strips_) return true;
  if (engine_[0] != Engine::Own || swapped_ || k_cut_.count > 1) return false;
  // One row reads b once: as it comes, unless its lines are torn.
  return m_ > 1 || n_ > 4 * gemm_strip(dtype_);
}

size_t DotKernel::prepared_bytes(size_t input) const {
  if (input >= 2) return 0;
  if (is_a(input)) return a_pack_.bytes;
  return wants_strips() ? static_cast<size_t>(product(b_batch_) * strips_size()) * element_ : b_pack_.bytes;
}

void DotKernel::prepare(size_t input, const void* from, void* to, void* scratch) const {
  const Pack& pack = is_a(input) ? a_pack_ : b_pack_;
  if (is_a(input) || !strips_) return run_pack(pack, element_, to, from);
  if (pack.bytes > 0) run_pack(pack, element_, scratch, from), from = scratch;
  const size_t bytes = static_cast<size_t>(strips_size()) * element_;
  for (int64_t i = 0, n = product(b_from_batch_); i < n; ++i) {
    int64_t at = 0, rest = i;
    for (size_t x = b_from_batch_.size(); x-- > 0; rest /= b_from_batch_[x].size) at += rest % b_from_batch_[x].size * b_from_batch_[x].stride;
    gemm_pack(dtype_, k_, n_, static_cast<const char*>(from) + static_cast<size_t>(at) * element_, b_from_rs_, b_from_cs_,
              static_cast<char*>(to) + static_cast<size_t>(i) * bytes);
  }
}

void DotKernel::take_prepared(size_t input) {
  const bool strips = !is_a(input) && wants_strips();
  (is_a(input) ? a_packed_ : b_packed_) = true;
  if (!strips) return;
  strips_ = true;
  b_from_rs_ = b_rs_, b_from_cs_ = b_cs_, b_from_batch_ = b_batch_;
  int64_t stride = strips_size();
  for (size_t i = b_batch_.size(); i-- > 0; stride *= b_batch_[i].size) b_batch_[i].stride = stride;
  lay_out();
}

void DotKernel::lay_out() {
  slot_bytes_ = partial_bytes_ = 0;
  cut();
  prepare_calls();
  const int64_t pieces = batch_ * m_cut_.count * n_cut_.count * k_cut_.count;
  slots_ = static_cast<int>(std::min<int64_t>(std::max<int64_t>(pieces, 1), num_threads()));
  slot_bytes_ = aligned_bytes(slot_bytes_);
  total_scratch_ = aligned_bytes(a_pack_.bytes) + aligned_bytes(b_pack_.bytes) + partial_bytes_ + slot_bytes_ * static_cast<size_t>(slots_);
  const char* names[] = {"fill", "own loops", "row products", "oneDNN", "integer loops"};
  text_ = "dot " + std::to_string(batch_) + "x" + std::to_string(m_) + "x" + std::to_string(k_) + "x" + std::to_string(n_) + " by " +
          names[static_cast<int>(engine_[0])];
  if (calls_[0] != nullptr) text_ += " (" + calls_[0]->impl() + ")";
  if (pieces > 1)
    text_ += ", pieces " + std::to_string(batch_) + "x" + std::to_string(m_cut_.count) + "x" + std::to_string(k_cut_.count) + "x" +
             std::to_string(n_cut_.count);
  if (a_pack_.bytes > 0 && !a_packed_) text_ += ", lhs copied";
  if (b_pack_.bytes > 0 && !b_packed_) text_ += ", rhs copied";
  if (strips_) text_ += ", rhs kept in strips";
}

void DotKernel::collapse(const DotDesc& d) {
  const Axes a_free = pick(d.lhs, free_axes(d.lhs, d.lhs_contract, d.lhs_batch));
  const Axes b_free = pick(d.rhs, free_axes(d.rhs, d.rhs_contract, d.rhs_batch));
  a_batch_ = pick(d.lhs, d.lhs_batch);
  b_batch_ = pick(d.rhs, d.rhs_batch);
  m_ = product(a_free);
  n_ = product(b_free);
  k_ = product(pick(d.lhs, d.lhs_contract));
  batch_ = product(a_batch_);
  columns_ = 1;
  const Shape out = dot_shape(d);
  if (!out.empty()) columns_ = out.back();

  // The pairs of contracted axes may be summed in any order: take one in which both sides are one axis, if there is one.
  std::vector<size_t> order(d.lhs_contract.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Axes a_k, b_k;
  const auto take = [&] {
    a_k.clear(), b_k.clear();
    for (const size_t i : order) {
      a_k.push_back(pick(d.lhs, {d.lhs_contract[i]})[0]);
      b_k.push_back(pick(d.rhs, {d.rhs_contract[i]})[0]);
    }
    Axis ignored;
    return static_cast<int>(single(a_k, &ignored)) + static_cast<int>(single(b_k, &ignored));
  };
  const auto sort_by = [&](const std::vector<int>& axes) {
    std::sort(order.begin(), order.end(), [&](size_t x, size_t y) { return axes[x] < axes[y]; });
  };
  sort_by(d.rhs_contract);
  const int by_rhs = take();
  if (by_rhs < 2) {
    sort_by(d.lhs_contract);
    if (take() < by_rhs) sort_by(d.rhs_contract), take();
  }

  const auto settle = [&](const Axes& rows, const Axes& cols, Axes& batch, int64_t* rs, int64_t* cs, Pack* pack) {
    Axis r, c;
    const int64_t nr = product(rows), nc = product(cols);
    if (single(rows, &r) && single(cols, &c)) {
      *rs = r.stride, *cs = c.stride;
      if (fit_strides(nr, nc, rs, cs)) return;
    }
    pack->axes = merged(joined({batch, rows, cols}));
    pack->bytes = static_cast<size_t>(product(batch) * nr * nc) * element_;
    *rs = nc, *cs = 1;
    fit_strides(nr, nc, rs, cs);
    int64_t stride = nr * nc;
    for (size_t i = batch.size(); i-- > 0;) {
      batch[i].stride = stride;
      stride *= batch[i].size;
    }
  };
  if (batch_ == 0 || m_ == 0 || n_ == 0 || k_ == 0) return;
  settle(a_free, a_k, a_batch_, &a_rs_, &a_cs_, &a_pack_);
  settle(b_k, b_free, b_batch_, &b_rs_, &b_cs_, &b_pack_);

  // Batch axes that both sides walk with one stride become one.
  Axes a2, b2;
  for (size_t i = 0; i < a_batch_.size(); ++i) {
    const Axis &a = a_batch_[i], &b = b_batch_[i];
    if (a.size == 1) continue;
    if (!a2.empty() && a2.back().stride == a.size * a.stride && b2.back().stride == b.size * b.stride) {
      a2.back() = {a2.back().size * a.size, a.stride};
      b2.back() = {b2.back().size * b.size, b.stride};
    } else {
      a2.push_back(a);
      b2.push_back(b);
    }
  }
  a_batch_ = a2, b_batch_ = b2;

  if (n_ == 1 && m_ > 1 && (dtype_ == DType::Float32 || dtype_ == DType::Float64)) {
    swapped_ = true;
    std::swap(m_, n_);
    std::swap(a_batch_, b_batch_);
    std::swap(a_pack_, b_pack_);
    std::swap(a_rs_, b_cs_);
    std::swap(a_cs_, b_rs_);
  }
}

Engine DotKernel::choose(int64_t m) const {
  if (k_ == 0 || m_ == 0 || n_ == 0 || batch_ == 0) return Engine::Fill;
  if (dtype_ == DType::BFloat16) return Engine::Dnnl;
  if (dtype_ != DType::Float32 && dtype_ != DType::Float64) return Engine::Integer;
  if (strips_) return Engine::Own;
  if (m == 1 && b_cs_ != 1 && a_cs_ == 1) return Engine::Rows;
  // Measured against oneDNN 2.6.3: our loops are as fast on large products, faster on small ones and on pieces of larger matrices.
  return Engine::Own;
}

void DotKernel::cut() {
  m_cut_ = Cut(m_, 1, 1), n_cut_ = Cut(n_, 1, 1), k_cut_ = Cut(k_, 1, 1);
  if (batch_ == 0 || m_ == 0 || n_ == 0 || k_ == 0) return;
  double flops = 2.0 * static_cast<double>(m_) * static_cast<double>(n_) * static_cast<double>(k_);
  if (m_ <= 4) flops *= 4;  // bound by memory
  if (dtype_ == DType::Float64) flops *= 2;
  else if (!is_floating(dtype_)) flops *= 16;
  const double all = flops * static_cast<double>(batch_), want_all = std::min(all / kPieceFlops, std::clamp(all / kLargePieceFlops, kFewPieces, kMostPieces));
  batch_grain_ = std::max<int64_t>(1, static_cast<int64_t>(kPieceFlops / flops));
  const int64_t want = static_cast<int64_t>(want_all / static_cast<double>(batch_));
  if (strips_) return cut_strips(all);
  if (want < 2) return;
  // Of b in its natural order a few rows of a make good use; packing it (oneDNN's or ours) must be earned back.
  const bool plain = dtype_ != DType::BFloat16 && b_cs_ == 1;
  const int64_t least_m = plain ? 32 : 64, least_n = 128;
  int64_t pm = 1, pn = 1;
  while (pm * pn < want) {
    const bool can_m = m_ / (pm * 2) >= least_m, can_n = n_ / (pn * 2) >= least_n;
    if (!can_m && !can_n) break;
    if (can_m && (!can_n || m_ / pm >= n_ / pn)) pm *= 2;
    else pn *= 2;
  }
  m_cut_ = Cut(m_, pm, 16);
  n_cut_ = Cut(n_, pn, 64);
  const int64_t have = batch_ * pm * pn;
  if (have < 8 && batch_ == 1 && k_ >= 4096 && m_ > 1 && (dtype_ == DType::Float32 || dtype_ == DType::Float64)) {
    k_cut_ = Cut(k_, std::min<int64_t>({want / have, 16, k_ / 1024}), 64);
    if (k_cut_.count > 1) partial_bytes_ = aligned_bytes(static_cast<size_t>(k_cut_.count * m_ * n_) * element_);
  }
}

// b in strips costs a piece nothing, and bits do not depend on how m and n are cut: as the threads are done soonest.
void DotKernel::cut_strips(double flops) {
  const int64_t strip = gemm_strip(dtype_), rows = gemm_rows(), threads = std::max(2, num_threads());
  const auto up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const int64_t tiles = up(m_, rows), strips = up(n_, strip);
  const double least = m_ > rows ? kPieceFlops / 8 : kPieceFlops / 4;
  const int64_t most = std::max<int64_t>(1, static_cast<int64_t>(std::min(flops / least, static_cast<double>(8 * threads))) / batch_);
  // In multiplications: what a call costs, what a piece reads of a and b anew, and how late the other threads are when they must be woken.
  constexpr double kCall = 3e4, kRead = 4, kLate = 1.5e6;
  double best = 0;
  int64_t pm = 1, pn = 1;
  for (int64_t i = 1; i <= std::min(tiles, most); ++i) {
    for (int64_t j = 1; i * j <= most && j <= strips; ++j) {
      const int64_t m = up(m_, i), n = up(strips, j) * strip, pieces = up(m_, m) * up(n_, n) * batch_;
      // A tile costs by its rows, and a little by itself.
      const double piece = static_cast<double>((m + up(m, rows)) * n * k_) + kRead * static_cast<double>((m + n) * k_) + kCall;
      // Mostly the others are awake; else this thread works alone for a while.
      const auto rounds = [&](double alone) {
        alone = std::min(alone, static_cast<double>(pieces));
        return alone + std::ceil((static_cast<double>(pieces) - alone) / static_cast<double>(threads));
      };
      const double time = (0.75 * rounds(0) + 0.25 * rounds(std::floor(kLate / piece))) * piece;
      if (best != 0 && time >= best) continue;
      best = time, pm = i, pn = j;
    }
  }
  m_cut_ = Cut(m_, pm, 1);
  n_cut_ = Cut(n_, pn, strip);
}

void DotKernel::prepare_calls() {
  fused_ = !swapped_ && columns_ == n_ && partial_bytes_ == 0;
  for (int64_t mt = 0; mt < 2; ++mt) {
    for (int64_t nt = 0; nt < 2; ++nt) {
      for (int64_t kt = 0; kt < 2; ++kt) {
        const int64_t mi = mt ? m_cut_.count - 1 : 0, ni = nt ? n_cut_.count - 1 : 0, ki = kt ? k_cut_.count - 1 : 0;
        const size_t v = variant(mi, ni, ki);
        if (v != static_cast<size_t>(mt * 4 + nt * 2 + kt)) continue;
        const int64_t m = m_cut_.at(mi), n = n_cut_.at(ni), k = k_cut_.at(ki);
        engine_[v] = choose(m);
        if (engine_[v] == Engine::Own) slot_bytes_ = std::max(slot_bytes_, gemm_pack_bytes(dtype_, m, n, k));
        if (engine_[v] != Engine::Dnnl) continue;
        single_threaded_openmp();
        uses_dnnl_ = true;
        // oneDNN's fast code takes dense matrices only: a piece of a larger one goes through a dense copy.
        const auto type = shim::data_type(dtype_);
        const auto dense = [&](int64_t rows, int64_t cols, int64_t rs, int64_t cs, bool* copy) {
          *copy = *copy || (cs == 1 ? rs != cols && rows > 1 : cs != rows && cols > 1);
          return shim::Md({rows, cols}, type, cs == 1 ? shim::Dims{cols, 1} : shim::Dims{1, rows});
        };
        const shim::Md a = dense(m, k, a_rs_, a_cs_, &copy_a_), b = dense(k, n, b_rs_, b_cs_, &copy_b_), c = dense(m, n, n_, 1, &copy_c_);
        const bool bias = epilogue_.bias && columns_ == n_ && partial_bytes_ == 0;
        const shim::Md bias_md = bias ? shim::Md({1, n}, type, shim::Dims{n, 1}) : shim::Md();
        const auto pd = shim::matmul_pd(cpu_engine(), a, b, bias_md, c, user_scratch());
        if (!pd) {
          good_ = false;
          return;
        }
        std::vector<DnnlCall::Arg> args{{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}};
        if (bias) args.push_back({DNNL_ARG_BIAS, bias_md});
        calls_[v] = std::make_unique<DnnlCall>(pd, dnnl::matmul(pd), std::move(args));
        good_ = good_ && calls_[v]->impl().find("ref") == std::string::npos;
        call_bytes_ = std::max(call_bytes_, aligned_bytes(calls_[v]->scratch_bytes()));
      }
    }
  }
  if (!uses_dnnl_) return;
  const auto bytes = [&](bool copy, int64_t n) { return copy ? aligned_bytes(static_cast<size_t>(n) * element_) : 0; };
  copy_a_bytes_ = bytes(copy_a_, m_cut_.size * k_cut_.size);
  copy_b_bytes_ = bytes(copy_b_, k_cut_.size * n_cut_.size);
  slot_bytes_ = call_bytes_ + copy_a_bytes_ + copy_b_bytes_ + bytes(copy_c_, m_cut_.size * n_cut_.size);
}

void DotKernel::piece(const Pointers& p, int64_t batch, int64_t mi, int64_t ni, int64_t ki, char* slot) const {
  int64_t a_at = mi * m_cut_.size * a_rs_ + ki * k_cut_.size * a_cs_, b_at = ki * k_cut_.size * b_rs_ + ni * n_cut_.size * b_cs_,
          rest = batch;
  if (strips_) b_at = ni * n_cut_.size * k_;
  for (size_t i = a_batch_.size(); i-- > 0;) {
    const int64_t index = rest % a_batch_[i].size;
    a_at += index * a_batch_[i].stride;
    b_at += index * b_batch_[i].stride;
    rest /= a_batch_[i].size;
  }
  const int64_t m = m_cut_.at(mi), n = n_cut_.at(ni), k = k_cut_.at(ki), e = static_cast<int64_t>(element_);
  const int64_t j = ni * n_cut_.size, c_at = (batch * m_ + mi * m_cut_.size) * n_ + j;
  char* c = p.partial != nullptr ? p.partial + (ki * m_ * n_ + c_at) * e : p.c + c_at * e;
  const char* add = p.add == nullptr ? nullptr : p.add + c_at * e;
  const char* bias = p.bias;
  if (bias != nullptr && columns_ == n_ && !swapped_) bias += j * e;

  const size_t v = variant(mi, ni, ki);
  const Engine engine = engine_[v];
  if (engine == Engine::Dnnl) {
    void* data[] = {const_cast<char*>(p.a + a_at * e), const_cast<char*>(p.b + b_at * e), c, const_cast<char*>(bias)};
    const auto copy = [&](char* to, const void* from, int64_t rows, int64_t cols, int64_t rs, int64_t cs) {
      if (cs == 1) copy_matrix(reinterpret_cast<uint16_t*>(to), static_cast<const uint16_t*>(from), rows, cols, rs, 1);
      else copy_matrix(reinterpret_cast<uint16_t*>(to), static_cast<const uint16_t*>(from), cols, rows, cs, 1);
      return to;
    };
    char* at = slot + call_bytes_;
    if (copy_a_) data[0] = copy(at, data[0], m, k, a_rs_, a_cs_);
    at += copy_a_bytes_;
    if (copy_b_) data[1] = copy(at, data[1], k, n, b_rs_, b_cs_);
    at += copy_b_bytes_;
    if (copy_c_) data[2] = at;
    calls_[v]->run(data, slot);
    for (int64_t r = 0; copy_c_ && r < m; ++r) std::memcpy(c + r * n_ * e, at + r * n * e, static_cast<size_t>(n * e));
    if (columns_ == n_) bias = nullptr;  // done by oneDNN
  } else if (engine == Engine::Rows) {
    gemv_rows(dtype_, n, k, p.b + b_at * e, b_cs_, p.a + a_at * e, c, 1);
  } else {
    Gemm g{.m = m,
           .n = n,
           .k = k,
           .a = p.a + a_at * e,
           .a_rs = a_rs_,
           .a_cs = a_cs_,
           .b = p.b + b_at * e,
           .b_rs = b_rs_,
           .b_cs = b_cs_,
           .c = c,
           .c_ld = n_};
    if (engine == Engine::Own) {
      if (fused_) g.bias = bias, g.add = add, g.epilogue = &epilogue_;
      if (strips_) g.b_pitch = gemm_strip(dtype_) * k_;
      g.scratch = slot;
      gemm(dtype_, g);
      if (fused_) return;
    } else {
      visit_dtype(dtype_, [&](auto t) {
        if constexpr (std::is_integral_v<decltype(t)>) integer_gemm<decltype(t)>(g);
      });
    }
  }
  if (p.partial != nullptr || (bias == nullptr && add == nullptr && epilogue_.act == Epilogue::Act::None)) return;
  if (swapped_) {
    // One column of the output per batch (n counts its rows), or a last axis of 1 as well as any other.
    if (columns_ == 1) apply_epilogue(epilogue_, dtype_, c, bias, add, n, 1, 1);
    else
      for (int64_t i = 0; i < n;) {  // lhs gives the last axis, because rhs has no free one
        const int64_t from = (j + i) % columns_, len = std::min(columns_ - from, n - i);
        apply_epilogue(epilogue_, dtype_, c + i * e, bias == nullptr ? nullptr : bias + from * e, add == nullptr ? nullptr : add + i * e, 1,
                       len, len);
        i += len;
      }
  } else if (bias == nullptr || columns_ == n_) {
    apply_epilogue(epilogue_, dtype_, c, bias, add, m, n, n_);
  } else {
    for (int64_t r = 0; r < m; ++r) {  // several free axes of rhs (or of lhs alone): the bias repeats along a row
      const int64_t row = batch * m_ + mi * m_cut_.size + r;
      for (int64_t i = 0; i < n;) {
        const int64_t from = (row * n_ + j + i) % columns_, len = std::min(columns_ - from, n - i), at = (r * n_ + i) * e;
        apply_epilogue(epilogue_, dtype_, c + at, bias + from * e, add == nullptr ? nullptr : add + at, 1, len, len);
        i += len;
      }
    }
  }
}

// Partial sums over pieces of k, added in order.
void DotKernel::combine(const Pointers& p) const {
  const int64_t grain = std::max<int64_t>(1, (int64_t{1} << 15) / n_);
  parallel_for(m_, grain, [&](int64_t r0, int64_t r1) {
    const auto sum = [&](auto t) {
      using T = decltype(t);
      T* c = reinterpret_cast<T*>(p.c);
      const T* from = reinterpret_cast<const T*>(p.partial);
      for (int64_t i = r0 * n_; i < r1 * n_; ++i) c[i] = from[i] + from[i + m_ * n_];
      for (int64_t s = 2; s < k_cut_.count; ++s) {
        for (int64_t i = r0 * n_; i < r1 * n_; ++i) c[i] += from[s * m_ * n_ + i];
      }
    };
    if (element_ == 4) sum(float{});
    else sum(double{});
    const int64_t e = static_cast<int64_t>(element_), rows = (r1 - r0) * n_ / columns_, at = r0 * n_ * e;
    if (r0 * n_ % columns_ == 0 && (r1 - r0) * n_ % columns_ == 0) {
      apply_epilogue(epilogue_, dtype_, p.c + at, p.bias, p.add == nullptr ? nullptr : p.add + at, rows, columns_, columns_);
      return;
    }
    for (int64_t i = r0 * n_; i < r1 * n_;) {
      const int64_t from = i % columns_, len = std::min(columns_ - from, r1 * n_ - i);
      apply_epilogue(epilogue_, dtype_, p.c + i * e, p.bias == nullptr ? nullptr : p.bias + from * e,
                     p.add == nullptr ? nullptr : p.add + i * e, 1, len, len);
      i += len;
    }
  });
}

void DotKernel::run(void* const* in, void* const* out, void* scratch) const {
  Pointers p{static_cast<const char*>(in[0]), static_cast<const char*>(in[1]), nullptr, nullptr, static_cast<char*>(out[0]), nullptr};
  int next = 2;
  if (epilogue_.bias) p.bias = static_cast<const char*>(in[next++]);
  if (epilogue_.add) p.add = static_cast<const char*>(in[next]);
  if (swapped_) std::swap(p.a, p.b);
  if (engine_[0] == Engine::Fill) {
    const int64_t size = batch_ * m_ * n_;
    std::memset(p.c, 0, static_cast<size_t>(size) * element_);
    if (size > 0) apply_epilogue(epilogue_, dtype_, p.c, p.bias, p.add, size / columns_, columns_, columns_);
    return;
  }
  char* slots = static_cast<char*>(scratch);
  const auto pack = [&](const Pack& k, bool packed, const char** from) {
    if (k.bytes == 0 || packed) return;
    run_pack(k, element_, slots, *from);
    *from = slots;
    slots += aligned_bytes(k.bytes);
  };
  pack(a_pack_, a_packed_, &p.a);
  pack(b_pack_, b_packed_, &p.b);
  if (partial_bytes_ > 0) p.partial = slots, slots += partial_bytes_;
  if (uses_dnnl_) single_threaded_openmp();

  const int64_t per = m_cut_.count * n_cut_.count * k_cut_.count;
  if (per == 1 && batch_ <= batch_grain_) {
    for (int64_t b = 0; b < batch_; ++b) piece(p, b, 0, 0, 0, slots);
    return;
  }
  parallel_for_slots(batch_ * per, per == 1 ? batch_grain_ : 1, slots_, [&](int64_t begin, int64_t end, int slot) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t ki = i % k_cut_.count, ni = i / k_cut_.count % n_cut_.count, mi = i / k_cut_.count / n_cut_.count % m_cut_.count;
      piece(p, i / per, mi, ni, ki, slots + static_cast<size_t>(slot) * slot_bytes_);
    }
  });
  if (p.partial != nullptr) combine(p);
}

bool native_bfloat16() {
#if defined(__x86_64__)
  static const bool yes = __builtin_cpu_supports("avx512bf16");
  return yes;
#else
  return false;
#endif
}

}  // namespace

Shape dot_shape(const DotDesc& d) {
  Shape out;
  for (const int a : d.lhs_batch) out.push_back(d.lhs[a]);
  for (const int a : free_axes(d.lhs, d.lhs_contract, d.lhs_batch)) out.push_back(d.lhs[a]);
  for (const int a : free_axes(d.rhs, d.rhs_contract, d.rhs_batch)) out.push_back(d.rhs[a]);
  return out;
}

engine::KernelPtr make_dot(const DotDesc& desc) {
  check(desc);
  const bool half = desc.dtype == DType::Float16 || desc.dtype == DType::BFloat16;
  if (!half || (desc.dtype == DType::BFloat16 && native_bfloat16())) {
    auto kernel = std::make_unique<DotKernel>(desc);
    if (kernel->good()) return kernel;
  }
  if (!half)
    throw RuntimeError(ErrorText{
        .what = "oneDNN has no matrix product for these shapes", .where = "dot", .received = desc.lhs.str() + " and " + desc.rhs.str()}
                           .str());
  DotDesc wide = desc;
  wide.dtype = DType::Float32;
  const Shape out = dot_shape(desc);
  std::vector<int64_t> sizes{desc.lhs.numel(), desc.rhs.numel()};
  if (desc.epilogue.bias) sizes.push_back(out.back());
  if (desc.epilogue.add) sizes.push_back(out.numel());
  return bridge_to_float32(desc.dtype, std::make_unique<DotKernel>(wide), std::move(sizes), out.numel());
}

}  // namespace keras::cpu
