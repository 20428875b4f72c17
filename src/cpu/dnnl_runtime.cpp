// What lives here: see dnnl_runtime.h.
#include "cpu/dnnl_runtime.h"

#include <oneapi/dnnl/dnnl_debug.h>

#include <keras/base/error.h>

#include "cpu/thread_pool.h"

namespace keras::cpu {

const dnnl::engine& cpu_engine() {
  // Leaked on purpose: kernels held in static objects may outlive it otherwise.
  static const dnnl::engine* engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

const dnnl::primitive_attr& user_scratch() {
  static const dnnl::primitive_attr* attr = [] {
    auto* a = new dnnl::primitive_attr;
    a->set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return a;
  }();
  return *attr;
}

struct DnnlCall::ArgSet {
  std::vector<dnnl::memory> memory;
  std::vector<void*> data;  // what `memory` points to; setting a handle is slow enough to skip when nothing changes
  std::vector<dnnl_exec_arg_t> args;
  dnnl::stream stream;
  std::atomic<bool> busy{true};
  ArgSet* next = nullptr;
};

DnnlCall::DnnlCall(const dnnl::primitive_desc_base& pd, dnnl::primitive primitive, std::vector<Arg> args)
    : primitive_(std::move(primitive)), args_(std::move(args)), impl_(pd.impl_info_str()) {
  const shim::Md scratchpad = pd.scratchpad_desc();
  scratch_bytes_ = scratchpad.get_size();
  if (scratch_bytes_ > 0) args_.push_back({DNNL_ARG_SCRATCHPAD, scratchpad});
  acquire()->busy.store(false, std::memory_order_release);
}

DnnlCall::~DnnlCall() {
  for (ArgSet* s = sets_.load(); s != nullptr;) {
    ArgSet* next = s->next;
    delete s;
    s = next;
  }
}

DnnlCall::ArgSet* DnnlCall::acquire() const {
  for (ArgSet* s = sets_.load(std::memory_order_acquire); s != nullptr; s = s->next) {
    if (!s->busy.load(std::memory_order_relaxed) && !s->busy.exchange(true, std::memory_order_acquire)) return s;
  }
  auto set = std::make_unique<ArgSet>();
  set->stream = dnnl::stream(cpu_engine());
  set->data.assign(args_.size(), nullptr);
  for (const Arg& a : args_) {
    set->memory.push_back(dnnl::memory(a.md, cpu_engine(), DNNL_MEMORY_NONE));
    set->args.push_back({a.id, set->memory.back().get()});
  }
  ArgSet* s = set.release();
  s->next = sets_.load(std::memory_order_relaxed);
  while (!sets_.compare_exchange_weak(s->next, s, std::memory_order_release, std::memory_order_relaxed)) {
  }
  return s;
}

void DnnlCall::run(void* const* data, void* scratch) const {
  ArgSet* set = acquire();
  for (size_t i = 0; i < args_.size(); ++i) {
    void* p = args_[i].id == DNNL_ARG_SCRATCHPAD ? scratch : data[i];
    if (set->data[i] == p) continue;
    set->memory[i].set_data_handle(p);
    set->data[i] = p;
  }
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive_.get(), set->stream.get(), static_cast<int>(set->args.size()), set->args.data());
  set->busy.store(false, std::memory_order_release);
  if (status != dnnl_success) {
    throw RuntimeError(ErrorText{.what = "a oneDNN primitive failed", .where = impl_, .received = dnnl_status2str(status)}.str());
  }
}

DnnlCallPtr make_dnnl_reorder(const shim::Md& from, const shim::Md& to) {
  single_threaded_openmp();
  const dnnl::reorder::primitive_desc pd(cpu_engine(), from, cpu_engine(), to, user_scratch());
  return std::make_unique<DnnlCall>(pd, dnnl::reorder(pd), std::vector<DnnlCall::Arg>{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

}  // namespace keras::cpu
