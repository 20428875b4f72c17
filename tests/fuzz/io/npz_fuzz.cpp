// What lives here: archives of NumPy's arrays from anywhere.
#include "fuzz/fuzz_target.h"
#include "io/npy.h"

namespace keras::fuzz {
namespace {

void run(const Bytes& input) {
  attempt("f.npz", [&] {
    io::NpzReader npz(input, "f.npz");
    for (const std::string& name : npz.names()) attempt("f.npz", [&] { npz.read(name); });
    attempt("f.npz", [&] { npz.read("no such array"); });
  });
}

void seeds(const Sink& sink) {
  io::Arrays arrays;
  arrays.set("x", io::Array(Shape{2, 2}, std::vector<float>{1, 2, 3, 4}));
  arrays.set("y", io::Array(Shape{2}, std::vector<int32_t>{0, 1}));
  sink("x_and_y", io::npz_bytes(arrays));
  sink("empty", io::npz_bytes({}));
}

const Register registered({"npz", run, seeds, mutate_zip, 800});

}  // namespace
}  // namespace keras::fuzz
