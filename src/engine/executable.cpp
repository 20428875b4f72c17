// What lives here: choosing kernels, laying values out in one arena, and the walk over the steps.
#include "engine/executable.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <mutex>
#include <unordered_map>

#include <sys/mman.h>

#include "engine/memory.h"
#include "passes/passes.h"

namespace keras::engine {

using ir::Graph;
using ir::Node;
using ir::ValueId;

static constexpr size_t kAlign = 64;
static size_t rounded(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

static KernelPtr make_kernel(const Graph& g, const Node& n) {
  if (!n.prim->cpu) throw NotImplementedError(fmt::format("'{}' has no kernel on the cpu", n.prim->name));
  KernelPtr k = n.prim->cpu(ir::KernelRequest{g, n});
  if (!k) throw NotImplementedError(fmt::format("'{}' has no kernel on the cpu for {}", n.prim->name, g.type(n.outputs[0]).str()));
  return k;
}

// Replaces nodes that have no kernel of their own by their definition.
static Graph expand_definitions(const Graph& g) {
  bool any = false;
  for (const Node& n : g.nodes()) any |= !n.prim->cpu && n.prim->define;
  if (!any) return g;
  Graph to;
  std::vector<ValueId> map(g.num_values(), -1);
  for (ValueId p : g.params()) map[static_cast<size_t>(p)] = to.add_param(g.type(p));
  for (const Node& n : g.nodes()) {
    const ir::OriginScope origin(n.origin);
    std::vector<ValueId> in, out;
    for (ValueId v : n.inputs) in.push_back(map[static_cast<size_t>(v)]);
    if (!n.prim->cpu && n.prim->define) out = n.prim->define(to, in, n.attrs);
    else {
      to.emit(*n.prim, std::move(in), n.attrs);
      out = to.nodes().back().outputs;
    }
    for (size_t i = 0; i < n.outputs.size(); ++i) map[static_cast<size_t>(n.outputs[i])] = out[i];
  }
  for (ValueId v : g.outputs) to.outputs.push_back(map[static_cast<size_t>(v)]);
  return to;
}

Executable::Executable(Graph graph, std::vector<std::pair<int, int>> donated, std::vector<char> steady, bool kept_by_caller)
    : graph_(expand_definitions(graph)), kept_by_caller_(kept_by_caller) {
  plan(donated, steady);
}

namespace {
enum class Where : uint8_t { None, Input, Output, Arena, Constant, Kept };
struct Storage {
  Where where = Where::None;
  uint32_t index = 0;       // input or output number
  int block = -1;           // arena block
  const void* address = nullptr;
  size_t offset = 0;        // in the kept block
};
struct Block {
  size_t bytes = 0;
  int first = 0, last = 0;  // steps during which it is in use; what is settled happens before step 0
  size_t offset = 0;
};
struct CopyKernel : Kernel {
  size_t bytes;
  explicit CopyKernel(size_t b) : bytes(b) {}
  void run(void* const* in, void* const* out, void*) const override {
    if (in[0] != out[0] && bytes) std::memcpy(out[0], in[0], bytes);
  }
  const char* describe() const override { return "copy"; }
};
}  // namespace

// Values made of constants alone are kept only while they are small: an iota is, a block of zeros takes its turn in the arena.
static constexpr size_t kKeptConstant = 1 << 16;

void Executable::plan(const std::vector<std::pair<int, int>>& donated, const std::vector<char>& steady) {
  const Graph& g = graph_;
  size_t nv = g.num_values();
  int count = static_cast<int>(g.nodes().size());
  for (const Node& n : g.nodes())
    for (ValueId v : n.outputs)
      if (!g.type(v).shape.is_static()) throw RuntimeError("a plan needs static shapes: " + std::string(n.prim->name) + " gives " + g.type(v).str());

  // An alias (reshape) shares the storage of its root.
  std::vector<ValueId> root(nv);
  for (size_t v = 0; v < nv; ++v) root[v] = static_cast<ValueId>(v);
  for (const Node& n : g.nodes())
    if (n.prim->alias) root[static_cast<size_t>(n.outputs[0])] = root[static_cast<size_t>(n.inputs[0])];
  auto rootof = [&](ValueId v) { return root[static_cast<size_t>(v)]; };

  // Settled: depends on steady parameters and constants alone.
  enum : char { Constant, Settled, Varies };
  std::vector<char> settled(nv, Varies);
  for (size_t i = 0; i < g.params().size(); ++i)
    if (i < steady.size() && steady[i]) settled[static_cast<size_t>(g.params()[i])] = Settled;
  std::vector<char> kept_node(g.nodes().size(), 0);
  for (int i = 0; i < count; ++i) {
    const Node& n = g.nodes()[static_cast<size_t>(i)];
    char state = Constant;
    for (ValueId v : n.inputs) state = std::max(state, settled[static_cast<size_t>(v)]);
    size_t bytes = 0;
    for (ValueId v : n.outputs) bytes += bytes_for(g.type(v));
    if (state == Constant && !n.prim->is("constant") && !n.prim->alias && bytes > kKeptConstant) state = Varies;
    for (ValueId v : n.outputs) settled[static_cast<size_t>(v)] = state;
    kept_node[static_cast<size_t>(i)] = state != Varies && !n.prim->is("constant") && !n.prim->alias;
  }
  auto is_kept = [&](ValueId v) { int n = g.value(root[static_cast<size_t>(v)]).node; return n >= 0 && kept_node[static_cast<size_t>(n)]; };

  std::vector<int> last(nv, -1);
  for (int i = 0; i < count; ++i)
    for (ValueId v : g.nodes()[static_cast<size_t>(i)].inputs)
      if (!g.nodes()[static_cast<size_t>(i)].prim->alias) last[static_cast<size_t>(rootof(v))] = i;

  std::vector<Storage> storage(nv);
  for (size_t i = 0; i < g.params().size(); ++i) storage[static_cast<size_t>(g.params()[i])] = {Where::Input, static_cast<uint32_t>(i)};

  // Outputs made by a node take the caller's memory; a donated one shares it with its parameter, so that parameter must not be read
  // after the node that makes the output (in the node itself only elementwise clusters, which read before they write).
  struct Final {
    ValueId value;
    uint32_t output;
  };
  std::vector<Final> copies;
  std::vector<int> donor(g.outputs.size(), -1);
  for (auto [o, p] : donated) donor[static_cast<size_t>(o)] = p;
  auto in_place_ok = [&](int node, ValueId in, ValueId out) {
    const Node& n = g.nodes()[static_cast<size_t>(node)];
    bool rows = n.prim->is("scatter_cluster");  // as a cluster, but for the rows that are added up
    bool dense = rows || n.prim->is("cluster") ? Shape(n.attrs.ints("space")) == g.type(out).shape : n.prim->is_ew();
    if (rows && (in == n.inputs[0] || in == n.inputs[1])) return false;
    for (size_t k = 0; k < n.inputs.size(); ++k) {
      // Read at other indices than the output's: a slice that the cluster takes itself, or the same memory under another shape.
      if (n.inputs[k] != in && rootof(n.inputs[k]) == in) return false;
      if (n.inputs[k] != in || !n.prim->is("cluster")) continue;
      const Graph& body = n.attrs.graph("body");
      for (const Node& m : body.nodes())
        if (m.prim->is("slice") && m.inputs[0] == body.params()[k]) return false;
    }
    return dense && g.type(in) == g.type(out) && rootof(in) == in;
  };
  std::vector<char> taken(nv, 0);
  for (size_t o = 0; o < g.outputs.size(); ++o) {
    ValueId v = g.outputs[o];
    int node = g.value(v).node;
    bool direct = node >= 0 && rootof(v) == v && !taken[static_cast<size_t>(v)] && !is_kept(v) && !g.nodes()[static_cast<size_t>(node)].prim->is("constant");
    if (direct && donor[o] >= 0) {
      ValueId p = g.params()[static_cast<size_t>(donor[o])];
      int l = last[static_cast<size_t>(p)];
      // Another output that is the parameter itself would be read at the end.
      for (ValueId w : g.outputs) direct &= rootof(w) != p;
      if (l > node) direct = false;
      if (l == node) {
        bool aliased = false;
        for (ValueId u : g.nodes()[static_cast<size_t>(node)].inputs)
          if (rootof(u) == p) aliased |= u == p ? !in_place_ok(node, u, v) : true;
        direct &= !aliased;
      }
    }
    if (direct) {
      storage[static_cast<size_t>(v)] = {Where::Output, static_cast<uint32_t>(o)};
      taken[static_cast<size_t>(v)] = 1;
    } else {
      copies.push_back({v, static_cast<uint32_t>(o)});
      last[static_cast<size_t>(rootof(v))] = count + static_cast<int>(copies.size()) - 1;
    }
  }
  // A final copy into a donated parameter must not destroy what a later copy still reads.
  for (const Final& f : copies) {
    int p = donor[f.output];
    if (p < 0) continue;
    ValueId pv = g.params()[static_cast<size_t>(p)];
    for (const Final& other : copies)
      if (rootof(other.value) == pv && other.output != f.output) last[static_cast<size_t>(pv)] = count + static_cast<int>(copies.size());
  }
  std::stable_sort(copies.begin(), copies.end(), [&](const Final& a, const Final& b) {
    auto reads_param = [&](const Final& f) { return g.value(rootof(f.value)).node < 0; };
    return reads_param(a) && !reads_param(b);  // readers of parameters first
  });

  // Constants live in one block of their own.
  size_t constant_bytes = 0;
  std::vector<std::pair<ValueId, size_t>> constants;
  for (const Node& n : g.nodes())
    if (n.prim->is("constant")) {
      constants.emplace_back(n.outputs[0], constant_bytes);
      constant_bytes += rounded(bytes_for(g.type(n.outputs[0])));
    }
  constants_ = Buffer(constant_bytes);
  for (auto [v, offset] : constants) {
    const ir::Literal& l = *g.literal(v);
    if (!l.bytes->empty()) std::memcpy(constants_.data() + offset, l.data(), l.bytes->size());
    storage[static_cast<size_t>(v)] = {Where::Constant, 0, -1, constants_.data() + offset};
  }

  // Kernels first: they say which settled inputs they want in a form of their own, and so which kept values the steps read as they are.
  std::vector<KernelPtr> kernels(g.nodes().size());
  auto keep = [&](size_t bytes) { return std::exchange(kept_bytes_, kept_bytes_ + rounded(std::max<size_t>(bytes, 1))); };
  auto keep_value = [&](ValueId v) {
    Storage& s = storage[static_cast<size_t>(rootof(v))];
    if (!is_kept(v) || s.where == Where::Kept) return;
    s.where = Where::Kept;
    s.offset = keep(bytes_for(g.type(rootof(v))));
  };
  struct Form {
    int node;
    size_t input;
    ValueId value;
    size_t offset;
  };
  std::vector<Form> forms;
  for (int i = 0; i < count; ++i) {
    const Node& n = g.nodes()[static_cast<size_t>(i)];
    if (n.prim->alias || n.prim->is("constant")) continue;
    KernelPtr& kernel = kernels[static_cast<size_t>(i)] = make_kernel(g, n);
    scratch_bytes_ = std::max(scratch_bytes_, rounded(kernel->scratch_bytes()));
    if (kept_node[static_cast<size_t>(i)]) continue;
    for (size_t k = 0; k < n.inputs.size(); ++k) {
      ValueId v = n.inputs[k];
      if (settled[static_cast<size_t>(v)] == Varies) continue;
      if (size_t bytes = kernel->prepared_bytes(k)) {
        forms.push_back({i, k, rootof(v), keep(bytes)});
        kernel->take_prepared(k);
        scratch_bytes_ = std::max(scratch_bytes_, rounded(kernel->scratch_bytes()));
      } else {
        keep_value(v);
      }
    }
  }
  for (const Final& f : copies) keep_value(f.value);
  num_forms_ = forms.size();
  if (!kept_by_caller_) kept_ = Buffer(kept_bytes_);

  // Blocks: an elementwise result takes over the block of an operand that dies with it, else a block of its own.
  std::vector<Block> blocks;
  for (int i = 0; i < count; ++i) {
    const Node& n = g.nodes()[static_cast<size_t>(i)];
    if (n.prim->alias || n.prim->is("constant")) continue;
    if (kept_node[static_cast<size_t>(i)]) {
      // What only settled nodes and the making of forms read passes through the arena before the first step.
      for (ValueId v : n.outputs) {
        Storage& s = storage[static_cast<size_t>(v)];
        if (s.where != Where::None) continue;
        int end = i;
        for (int j = i + 1; j < count; ++j)
          if (kept_node[static_cast<size_t>(j)])
            for (ValueId u : g.nodes()[static_cast<size_t>(j)].inputs)
              if (rootof(u) == v) end = j;
        s.where = Where::Arena;
        s.block = static_cast<int>(blocks.size());
        blocks.push_back({bytes_for(g.type(v)), i - count, end - count});
      }
      continue;
    }
    std::vector<int> used;
    for (ValueId v : n.outputs) {
      Storage& s = storage[static_cast<size_t>(v)];
      if (s.where != Where::None) continue;
      s.where = Where::Arena;
      int end = std::max(last[static_cast<size_t>(v)], i);
      for (ValueId u : n.inputs) {
        const Storage& t = storage[static_cast<size_t>(u)];
        if (t.where != Where::Arena || last[static_cast<size_t>(u)] != i || !in_place_ok(i, u, v)) continue;
        if (std::find(used.begin(), used.end(), t.block) != used.end()) continue;
        s.block = t.block;
        break;
      }
      if (s.block < 0) {
        s.block = static_cast<int>(blocks.size());
        blocks.push_back({bytes_for(g.type(v)), i, end});
      }
      used.push_back(s.block);
      blocks[static_cast<size_t>(s.block)].last = std::max(blocks[static_cast<size_t>(s.block)].last, end);
    }
  }
  // Offsets: the largest first, each at the lowest place free during its life.
  std::vector<size_t> order(blocks.size());
  for (size_t b = 0; b < order.size(); ++b) order[b] = b;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::vector<size_t> placed;
  for (size_t b : order) {
    Block& block = blocks[b];
    std::vector<std::pair<size_t, size_t>> busy;
    for (size_t p : placed)
      if (blocks[p].first <= block.last && block.first <= blocks[p].last) busy.emplace_back(blocks[p].offset, blocks[p].offset + rounded(blocks[p].bytes));
    std::sort(busy.begin(), busy.end());
    size_t at = 0;
    for (auto [from, to] : busy) {
      if (at + rounded(block.bytes) <= from) break;
      at = std::max(at, to);
    }
    block.offset = at;
    arena_bytes_ = std::max(arena_bytes_, at + rounded(block.bytes));
    placed.push_back(b);
  }

  // Steps and the pointer table.
  auto add_slot = [&](ValueId v) {
    ValueId r = rootof(v);
    const Storage& s = storage[static_cast<size_t>(r)];
    uint32_t position = static_cast<uint32_t>(table_size_++);
    switch (s.where) {
      case Where::Kept: kept_slots_.emplace_back(position, s.offset); break;
      case Where::Input: input_patches_.push_back({position, s.index}); break;
      case Where::Output: output_patches_.push_back({position, s.index}); break;
      case Where::Arena: arena_slots_.emplace_back(position, blocks[static_cast<size_t>(s.block)].offset); break;
      case Where::Constant: constant_slots_.emplace_back(position, s.address); break;
      case Where::None: throw RuntimeError("planner: a value has no storage\n" + g.str());
    }
  };
  auto add_kept_slot = [&](size_t offset) {
    kept_slots_.emplace_back(static_cast<uint32_t>(table_size_), offset);
    return static_cast<uint32_t>(table_size_++);
  };
  auto add_forms = [&](Settling& to, auto&& of) {
    for (const Form& f : forms)
      if (of(f.value)) {
        uint32_t from = static_cast<uint32_t>(table_size_);
        add_slot(f.value);
        to.forms.push_back({kernels[static_cast<size_t>(f.node)].get(), f.input, from, add_kept_slot(f.offset)});
      }
  };
  auto add_step = [&](int i, bool settling) {
    const Node& n = g.nodes()[static_cast<size_t>(i)];
    Step step{nullptr, static_cast<uint32_t>(table_size_), 0};
    for (size_t k = 0; k < n.inputs.size(); ++k) {
      auto form = std::find_if(forms.begin(), forms.end(), [&](const Form& f) { return !settling && f.node == i && f.input == k; });
      if (form == forms.end()) add_slot(n.inputs[k]);
      else add_kept_slot(form->offset);
    }
    step.out = static_cast<uint32_t>(table_size_);
    for (ValueId v : n.outputs) add_slot(v);
    return step;
  };
  Settling given{{nullptr, 0, 0}, -1, {}};
  add_forms(given, [&](ValueId v) { return !is_kept(v); });
  if (!given.forms.empty()) settling_.push_back(std::move(given));
  for (int i = 0; i < count; ++i) {
    if (!kept_node[static_cast<size_t>(i)]) continue;
    Settling s{add_step(i, true), i, {}};
    add_forms(s, [&](ValueId v) { return g.value(v).node == i; });
    s.step.kernel = std::move(kernels[static_cast<size_t>(i)]);
    settling_.push_back(std::move(s));
  }
  for (int i = 0; i < count; ++i) {
    const Node& n = g.nodes()[static_cast<size_t>(i)];
    if (n.prim->alias || n.prim->is("constant") || kept_node[static_cast<size_t>(i)]) continue;
    Step step = add_step(i, false);
    step.kernel = std::move(kernels[static_cast<size_t>(i)]);
    steps_.push_back(std::move(step));
    step_node_.push_back(i);
  }
  for (const Final& f : copies) {
    Step step{std::make_unique<CopyKernel>(bytes_for(g.type(f.value))), static_cast<uint32_t>(table_size_), 0};
    add_slot(f.value);
    step.out = static_cast<uint32_t>(table_size_++);
    output_patches_.push_back({step.out, f.output});
    steps_.push_back(std::move(step));
    step_node_.push_back(-1);
  }
  context_bytes_ = rounded(table_size_ * sizeof(void*)) + rounded(scratch_bytes_) + arena_bytes_ + (kept_by_caller_ ? kept_bytes_ : 0);
}

void Executable::init_context(void* context) const {
  auto** table = static_cast<void**>(context);
  auto* arena = static_cast<std::byte*>(context) + rounded(table_size_ * sizeof(void*)) + rounded(scratch_bytes_);
  std::byte* kept = kept_by_caller_ ? arena + arena_bytes_ : kept_.data();
  for (auto [position, offset] : arena_slots_) table[position] = arena + offset;
  for (auto [position, offset] : kept_slots_) table[position] = kept + offset;
  for (auto [position, address] : constant_slots_) table[position] = const_cast<void*>(address);
}

void Executable::bind(void* context, void* const* inputs) const {
  auto** table = static_cast<void**>(context);
  for (const Patch& p : input_patches_) table[p.position] = inputs[p.index];
}

void Executable::settle(void* context, void* const* inputs) const {
  if (settling_.empty()) return;
  bind(context, inputs);
  auto** table = static_cast<void**>(context);
  void* scratch = static_cast<std::byte*>(context) + rounded(table_size_ * sizeof(void*));
  for (const Settling& s : settling_) {
    if (s.step.kernel) s.step.kernel->run(table + s.step.in, table + s.step.out, scratch);
    for (const Prepared& p : s.forms) p.kernel->prepare(p.input, table[p.from], table[p.to], scratch);
  }
}

static std::string node_text(const Graph& g, const Node* n) {
  if (!n) return "copy";
  std::string s = std::string(n->prim->name) + " ";
  for (ValueId v : n->inputs) s += g.type(v).str() + " ";
  s += "-> ";
  for (ValueId v : n->outputs) s += g.type(v).str() + " ";
  return s;
}

void Executable::run_in(void* context, void* const* inputs, void* const* outputs) const {
  auto** table = static_cast<void**>(context);
  void* scratch = static_cast<std::byte*>(context) + rounded(table_size_ * sizeof(void*));
  bind(context, inputs);
  for (const Patch& p : output_patches_) table[p.position] = outputs[p.index];
  if (profiling()) return run_measured(table, scratch);
  for (const Step& s : steps_) s.kernel->run(table + s.in, table + s.out, scratch);
}

// Large ones on huge pages: their first use would fault page by page otherwise.
static void* allocate_context(size_t bytes) {
  constexpr size_t kHuge = size_t{2} << 20;
  size_t align = bytes >= 2 * kHuge ? kHuge : kAlign;
  bytes = std::max((bytes + align - 1) / align * align, align);
  void* context = std::aligned_alloc(align, bytes);
  if (!context) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (align == kHuge) madvise(context, bytes, MADV_HUGEPAGE);
#endif
  return context;
}

void Executable::run(void* const* inputs, void* const* outputs, uint64_t stamp) const {
  void* context = nullptr;
  for (auto& spare : spare_)
    if (spare.load(std::memory_order_relaxed) && (context = spare.exchange(nullptr, std::memory_order_acquire))) break;
  if (!context) {
    context = allocate_context(context_bytes_);
    init_context(context);
  }
  struct Return {
    const Executable* self;
    void* context;
    ~Return() {
      for (auto& spare : self->spare_) {
        void* none = nullptr;
        if (spare.compare_exchange_strong(none, context, std::memory_order_release, std::memory_order_relaxed)) return;
      }
      std::free(context);
    }
  } give_back{this, context};
  if (!settling_.empty() && kept_stamp_.load(std::memory_order_acquire) != stamp) {
    std::lock_guard lock(settle_mutex_);
    if (kept_stamp_.load(std::memory_order_relaxed) != stamp) {
      settle(context, inputs);
      kept_stamp_.store(stamp, std::memory_order_release);
    }
  }
  run_in(context, inputs, outputs);
}

Executable::~Executable() {
  for (auto& spare : spare_) std::free(spare.load());
  if (times_.load() && std::getenv("KERAS_PROFILE")) std::fputs(profile_text(profile()).c_str(), stderr);
  delete times_.load();
}

size_t Executable::memory_bytes(int at_once) const {
  // Where the caller holds the memory of a run, it is counted there.
  size_t bytes = constants_.bytes() + (kept_by_caller_ ? 0 : kept_bytes_ + context_bytes_ * static_cast<size_t>(at_once));
  for (const Step& s : steps_)
    for (const Executable* e : s.kernel->inside()) bytes += e->memory_bytes(e->kept_by_caller_ ? 1 : s.kernel->threads_inside());
  return bytes;
}

std::string Executable::str() const {
  std::string s = fmt::format("arena {} bytes, scratch {} bytes, {} steps\n", arena_bytes_, scratch_bytes_, steps_.size());
  if (!settling_.empty()) {
    s += fmt::format("kept {} bytes, computed when a weight changes: {} forms of weights, and\n", kept_bytes_, num_forms_);
    for (const Settling& k : settling_)
      if (k.step.kernel) s += "     " + node_text(graph_, &graph_.nodes()[static_cast<size_t>(k.node)]) + "\n";
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Node* n = step_node_[i] < 0 ? nullptr : &graph_.nodes()[static_cast<size_t>(step_node_[i])];
    s += fmt::format("{:4} {}", i, node_text(graph_, n));
    if (const char* d = steps_[i].kernel->describe(); *d) s += std::string(" # ") + d;
    s += "\n";
  }
  return s;
}

void run_node(const Graph& g, const Node& n, void* const* in, void* const* out) {
  struct Entry {
    std::shared_ptr<Executable> exe;
  };
  static std::mutex mutex;
  static std::unordered_map<std::string, Entry> cache;
  std::string key(n.prim->name);
  for (ValueId v : n.inputs) key += ";" + g.type(v).str();
  key += "|" + n.attrs.str(true);
  std::shared_ptr<Executable> exe;
  {
    std::lock_guard lock(mutex);
    if (auto it = cache.find(key); it != cache.end()) exe = it->second.exe;
  }
  if (!exe) {
    Graph one;
    std::vector<ValueId> args;
    for (ValueId v : n.inputs) args.push_back(one.add_param(g.type(v)));
    one.emit(*n.prim, args, n.attrs);
    one.outputs = one.nodes().back().outputs;
    exe = std::make_shared<Executable>(std::move(one));
    std::lock_guard lock(mutex);
    if (cache.size() > 4096) cache.clear();
    cache[key] = {exe};
  }
  exe->run(in, out);
}

}  // namespace keras::engine
