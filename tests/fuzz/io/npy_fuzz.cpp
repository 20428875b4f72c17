// What lives here: NumPy's arrays from anywhere.
#include "fuzz/fuzz_target.h"
#include "io/npy.h"

namespace keras::fuzz {
namespace {

void run(const Bytes& input) {
  attempt("f.npy", [&] {
    io::Array array = io::parse_npy(input, "f.npy");
    if (io::checked_bytes(array.shape.dims(), dtype_size(array.dtype)) != array.data.size()) throw Finding("an array whose bytes do not fit its shape");
    if (!(io::parse_npy(io::npy_bytes(array), "again") == array)) throw Finding("an array that does not survive writing");
  });
}

Bytes with_header(const std::string& header, size_t data) {
  std::string text = "\x93NUMPY\x01" + std::string(1, '\0') + static_cast<char>(header.size() & 255) + static_cast<char>(header.size() >> 8) + header;
  return bytes_of(text + std::string(data, '\1'));
}

void seeds(const Sink& sink) {
  sink("floats", io::npy_bytes(io::Array(Shape{2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6})));
  sink("scalar", io::npy_bytes(io::Array(Shape{}, std::vector<int64_t>{1})));
  sink("none", io::npy_bytes(io::Array(Shape{0, 4}, std::vector<double>{})));
  sink("fortran", with_header("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n", 12));
  sink("lying_shape", with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }\n", 16));
  sink("objects", with_header("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n", 16));
  sink("records", with_header("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (2,), }\n", 8));
}

const Register registered({"npy", run, seeds, nullptr, 1000});

}  // namespace
}  // namespace keras::fuzz
