// What lives here: HDF5 files from anywhere.
#include "fuzz/fuzz_target.h"
#include "io/hdf5.h"

namespace keras::fuzz {
namespace {

struct Walk {
  int objects = 0;
  uint64_t bytes = 0;

  void attributes(const io::H5Group& group, const std::string& of) {
    attempt("f.h5", [&] {
      for (const std::string& name : group.attr_names(of)) {
        attempt("f.h5", [&] { group.attr(name, of); });
        attempt("f.h5", [&] { group.attr_string(name, of); });
        attempt("f.h5", [&] { group.attr_strings(name, of); });
      }
    });
  }
  void group(const io::H5Group& group, int depth) {
    if (depth > 12 || ++objects > 300) return;
    attributes(group, "");
    attempt("f.h5", [&] {
      for (const io::H5Member& member : group.members()) {
        if (++objects > 300) return;
        // Names from a file may hold anything; asking for them must be safe.
        attempt("f.h5", [&] {
          if (member.kind == io::H5Kind::Group) return this->group(group.group(member.name), depth + 1);
          attributes(group, member.name);
          io::H5DatasetInfo info = group.info(member.name);
          if (bytes += static_cast<uint64_t>(info.shape.numel()) * dtype_size(info.dtype); bytes > uint64_t{128} << 20) return;
          io::Array array = group.read(member.name);
          if (array.shape != info.shape || array.dtype != info.dtype) throw Finding("a dataset that is read otherwise than it was announced");
        });
      }
    });
  }
};

void run(const Bytes& input) {
  io::H5Limits limits;
  limits.dataset = uint64_t{32} << 20;
  limits.attribute = uint64_t{4} << 20;
  limits.expansion_floor = uint64_t{16} << 20;
  attempt("f.h5", [&] { Walk().group(io::H5File::from_bytes(input, "f.h5", limits).root(), 0); });
}

#include "io/hdf5_test_files.inc"

void seeds(const Sink& sink) {
  io::H5File file = io::H5File::create_in_memory("seed");
  io::H5Group root = file.root(), vars = root.create_group("layers/dense/vars");
  vars.set_attr("name", Value("dense"));
  vars.write("0", io::Array(Shape{2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6}));
  vars.write("1", io::Array(Shape{3}, std::vector<int64_t>{1, 2, 3}));
  root.write("scalar", io::Array(Shape{}, std::vector<double>{1.5}));
  root.set_attr("numbers", Value(List{1.0, 2.0}));
  root.set_attr("flag", Value(true));
  root.set_attr_bytes("backend", "jax");
  root.set_attr_strings("layer_names", {"dense", "dense_1"});
  sink("written_here", file.bytes());
  sink("soft_link", soft_link_file());
  sink("external_link", external_link_file());
  sink("external_data", external_data_file());
  sink("packed", packed_file());
  sink("bomb", bomb_file());
  sink("dense_heap", dense_file());
}

const Register registered({"hdf5", run, seeds, mutate_hdf5, 100});

}  // namespace
}  // namespace keras::fuzz
