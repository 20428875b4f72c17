// What lives here: HDF5 over the C library. Every call goes through a Session (io/hdf5_session.h). Lengths and types that a file declares
// are judged before anything is allocated for them.
#include "io/hdf5.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include <keras/base/error.h>

#include "io/file.h"
#include "io/hdf5_check.h"
#include "io/hdf5_session.h"
#include "io/inflate.h"

namespace keras::io {
using namespace hdf5;
namespace {

constexpr size_t kHeaderLimit = 64512;  // Keras' HDF5_OBJECT_HEADER_LIMIT: larger attributes do not fit into an object header

}  // namespace

struct H5Group::File {
  std::string where;
  H5Limits limits;
  uint64_t size = UINT64_MAX;  // of the file read; no dataset stores more
  bool writable = false;
  std::unique_ptr<AtomicFile> target;
  Id id;
};

struct H5Group::Impl {
  std::shared_ptr<File> file;
  std::string path;  // "/layers/dense", "" for the root
  Id id;

  std::string where(std::string_view sub) const {
    std::string p = path;
    if (!sub.empty()) p += "/" + std::string(sub);
    return file->where + (p.empty() ? "" : ": " + p);
  }
  ValueError error(std::string_view sub, const std::string& why) const { return bad_file(where(sub), why); }
  ValueError library_error(std::string_view sub, const char* what) const { return error(sub, std::string(what) + ": " + library_reason()); }

  static std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> parts;
    for (size_t from = 0; from <= path.size();) {
      size_t to = std::min(path.find('/', from), path.size());
      parts.emplace_back(path.substr(from, to - from));
      from = to + 1;
    }
    return parts;
  }
  void check_path(std::string_view sub) const {
    for (const auto& part : split(sub))
      if (part.empty() || part == "." || part.find('\0') != std::string::npos)
        throw ValueError(ErrorText{.what = "'" + std::string(sub) + "' is no path inside an HDF5 file", .where = where({})}.str());
  }
  void check_open() const {
    if (!file->id.ok()) throw RuntimeError("the HDF5 file '" + file->where + "' is closed already");
  }
  void check_writable() const {
    check_open();
    if (!file->writable) throw RuntimeError("the HDF5 file '" + file->where + "' is open for reading only");
  }

  /// Whether `name` is in `at`; links that could lead elsewhere are refused.
  bool has_link(hid_t at, const std::string& name, std::string_view shown) const {
    htri_t there = H5Lexists(at, name.c_str(), H5P_DEFAULT);
    if (there < 0) throw library_error(shown, "cannot look up a member");
    if (!there) return false;
    H5L_info_t info;
    if (H5Lget_info(at, name.c_str(), &info, H5P_DEFAULT) < 0) throw library_error(shown, "cannot read a link");
    if (info.type != H5L_TYPE_HARD)
      throw ValueError(ErrorText{.what = std::string(info.type == H5L_TYPE_SOFT       ? "a soft link is"
                                                     : info.type == H5L_TYPE_EXTERNAL ? "a link to another file is"
                                                                                      : "a link of unknown kind is") +
                                         " not followed, as it may lead out of the file",
                                 .where = where(shown)}
                           .str());
    return true;
  }

  /// The object at `sub`, or an Id that is not ok.
  Id find(std::string_view sub) const {
    check_open();
    if (sub.empty()) return Id(H5Oopen(id, ".", H5P_DEFAULT), H5Oclose);
    check_path(sub);
    Id holder;
    hid_t at = id;
    size_t shown = 0;
    for (const auto& part : split(sub)) {
      shown = std::min(sub.size(), shown + part.size() + (shown ? 1 : 0));
      if (at != id && H5Iget_type(at) != H5I_GROUP) return {};
      if (!has_link(at, part, sub.substr(0, shown))) return {};
      Id next(H5Oopen(at, part.c_str(), H5P_DEFAULT), H5Oclose);
      if (!next.ok()) throw library_error(sub.substr(0, shown), "cannot open a member");
      holder = std::move(next);
      at = holder;
    }
    return holder;
  }

  Id get(std::string_view sub) const {
    Id found = find(sub);
    if (found.ok()) return found;
    // Names the group where the path breaks off, and what is there.
    std::string reached;
    hid_t at = id;
    Id holder;
    for (const auto& part : split(sub)) {
      if (at != id && H5Iget_type(at) != H5I_GROUP)
        throw ValueError(
            ErrorText{.what = "'" + reached + "' is a dataset, not a group, so there is no '" + part + "' in it", .where = where({})}
                .str());
      if (!has_link(at, part, sub)) {
        std::vector<std::string> known;
        for (const auto& [name, type] : links(at, reached)) known.push_back(name);
        std::string some;
        for (size_t i = 0; i < std::min<size_t>(known.size(), 12); ++i) some += (i ? ", '" : "'") + known[i] + "'";
        if (known.size() > 12) some += ", ... (" + std::to_string(known.size()) + ")";
        throw ValueError(ErrorText{.what = "there is no '" + part + "' in the HDF5 file" + did_you_mean(part, known),
                                   .where = where(reached),
                                   .expected = some.empty() ? "(the group is empty)" : "one of " + some,
                                   .received = "'" + std::string(sub) + "'"}
                             .str());
      }
      Id next(H5Oopen(at, part.c_str(), H5P_DEFAULT), H5Oclose);
      holder = std::move(next);
      at = holder;
      reached += (reached.empty() ? "" : "/") + part;
    }
    throw error(sub, "a member cannot be opened");
  }

  Id get_kind(std::string_view sub, H5I_type_t wanted, const char* noun) const {
    Id object = get(sub);
    if (H5Iget_type(object) != wanted)
      throw ValueError(ErrorText{.what = std::string("this is not a ") + noun,
                                 .where = where(sub),
                                 .received = H5Iget_type(object) == H5I_GROUP     ? "a group"
                                             : H5Iget_type(object) == H5I_DATASET ? "a dataset"
                                                                                  : "another object"}
                           .str());
    return object;
  }

  std::vector<std::pair<std::string, H5L_type_t>> links(hid_t group, std::string_view shown) const {
    std::vector<std::pair<std::string, H5L_type_t>> out;
    bool tracked = false;
    if (Id plist(H5Gget_create_plist(group), H5Pclose); plist.ok()) {
      unsigned flags = 0;
      tracked = H5Pget_link_creation_order(plist, &flags) >= 0 && (flags & H5P_CRT_ORDER_TRACKED);
    }
    hsize_t at = 0;
    auto visit = [](hid_t, const char* name, const H5L_info_t* info, void* data) noexcept -> herr_t {
      static_cast<decltype(out)*>(data)->emplace_back(name, info->type);
      return 0;
    };
    if (H5Literate(group, tracked ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME, H5_ITER_INC, &at, visit, &out) < 0)
      throw library_error(shown, "cannot list the members of a group");
    return out;
  }

  // ---- datasets ----

  /// The dtype that a file's type is read as, and whether its bytes must be swapped.
  struct Stored {
    DType dtype;
    bool swap;
  };
  Stored stored_type(hid_t dataset, hid_t type, std::string_view sub) const {
    Stored s{DType::Float32, !native_order(type)};
    H5T_class_t c = H5Tget_class(type);
    if (c == H5T_FLOAT && float_dtype(type, s.dtype)) return s;
    if (c == H5T_INTEGER && integer_dtype(type, s.dtype)) return s;
    if (c == H5T_ENUM) {
      Id base(H5Tget_super(type), H5Tclose);
      if (base.ok() && integer_dtype(base, s.dtype)) {
        s.swap = !native_order(base);
        if (boolean_enum(type) && dtype_size(s.dtype) == 1) s.dtype = DType::Bool;
        return s;
      }
    }
    if (c == H5T_OPAQUE && H5Tget_size(type) == 2 && H5Aexists(dataset, "dtype") > 0) {
      Value named = read_attr(dataset, "dtype", sub);
      if (named.is_string() && named.as_string() == "bfloat16") return {DType::BFloat16, false};
    }
    throw ValueError(ErrorText{.what = std::string("the dataset holds ") + class_name(c) + " of " + std::to_string(H5Tget_size(type)) +
                                       " bytes, which no tensor can",
                               .where = where(sub),
                               .expected = "bool, ints, floats, bfloat16"}
                         .str());
  }

  std::vector<int64_t> dims_of(hid_t space, std::string_view sub) const {
    H5S_class_t c = H5Sget_simple_extent_type(space);
    if (c != H5S_SCALAR && c != H5S_SIMPLE) throw error(sub, "the dataset has no shape (an empty dataspace)");
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 0 || rank > H5S_MAX_RANK) throw library_error(sub, "the rank cannot be read");
    std::vector<hsize_t> dims(static_cast<size_t>(rank));
    if (rank && H5Sget_simple_extent_dims(space, dims.data(), nullptr) < 0) throw library_error(sub, "the shape cannot be read");
    std::vector<int64_t> out;
    for (hsize_t d : dims) {
      if (d > static_cast<hsize_t>(INT64_MAX)) throw error(sub, "a size of the shape is beyond 2^63");
      out.push_back(static_cast<int64_t>(d));
    }
    return out;
  }

  /// Type and shape of an open dataset, its layout judged: nothing outside the file, nothing larger than the file can hold.
  H5DatasetInfo inspect(hid_t dataset, std::string_view sub, bool& swap, uint64_t& bytes) const {
    Id type(H5Dget_type(dataset), H5Tclose), space(H5Dget_space(dataset), H5Sclose), plist(H5Dget_create_plist(dataset), H5Pclose);
    if (!type.ok() || !space.ok() || !plist.ok()) throw library_error(sub, "a dataset cannot be read");
    Stored stored = stored_type(dataset, type, sub);
    auto dims = dims_of(space, sub);
    H5D_layout_t layout = H5Pget_layout(plist);
    if (layout == H5D_VIRTUAL || H5Pget_external_count(plist) > 0)
      throw ValueError(ErrorText{.what = "the dataset lies in other files, which are not read", .where = where(sub)}.str());
    uint64_t element = dtype_size(stored.dtype);
    bytes = checked_bytes(dims, element);
    Shape shape{std::vector<int64_t>(dims)};
    auto refuse = [&](const std::string& why) { return error(sub, "the dataset declares shape " + shape.str() + ", " + why); };
    if (bytes > file->limits.dataset) throw refuse("too large");
    if (!file->writable) {
      uint64_t kept = H5Dget_storage_size(dataset);
      if (kept > file->size) throw refuse("whose " + std::to_string(kept) + " bytes are more than the file has (truncated?)");
      if ((layout == H5D_CONTIGUOUS || layout == H5D_COMPACT) && kept != 0 && kept < bytes)
        throw refuse("but keeps only " + std::to_string(kept) + " bytes");
      if (bytes > file->limits.expansion_floor && bytes / file->limits.expansion > kept)
        throw refuse("but takes only " + std::to_string(kept) + " bytes in the file (a decompression bomb?)");
      if (layout == H5D_CHUNKED) {
        std::vector<hsize_t> chunk(dims.size());
        if (H5Pget_chunk(plist, static_cast<int>(chunk.size()), chunk.data()) < 0) throw library_error(sub, "the chunks cannot be read");
        uint64_t chunk_bytes = checked_bytes(std::vector<int64_t>(chunk.begin(), chunk.end()), element);
        if (chunk_bytes > std::max(bytes, file->limits.expansion_floor))
          throw refuse("but chunks of " + std::to_string(chunk_bytes) + " bytes");
      }
    }
    swap = stored.swap;
    return {stored.dtype, std::move(shape)};
  }

  /// Reads chunk by chunk and unpacks here, in the place of the library's filters.
  void read_packed(hid_t dataset, hid_t type, hid_t plist, Array& out, std::string_view sub) const {
    size_t rank = out.shape.size(), element = dtype_size(out.dtype);
    std::vector<hsize_t> chunk(rank), at(rank, 0);
    if (H5Pget_chunk(plist, static_cast<int>(rank), chunk.data()) < 0) throw library_error(sub, "the chunks cannot be read");
    uint64_t chunk_bytes = checked_bytes(std::vector<int64_t>(chunk.begin(), chunk.end()), element);
    std::vector<int> filters;
    for (int i = 0; i < H5Pget_nfilters(plist); ++i) {
      unsigned flags = 0, config = 0;
      size_t values = 0;
      filters.push_back(H5Pget_filter2(plist, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config));
    }
    Bytes fill(element);
    H5D_fill_value_t defined = H5D_FILL_VALUE_UNDEFINED;
    if (H5Pfill_value_defined(plist, &defined) < 0 ||
        (defined != H5D_FILL_VALUE_UNDEFINED && H5Pget_fill_value(plist, type, fill.data()) < 0))
      throw library_error(sub, "the fill value cannot be read");
    for (bool more = true; more;) {
      Bytes data;
      hsize_t stored = 0;
      // An error here means that the chunk was never written; where chunks are was checked before.
      if (H5Dget_chunk_storage_size(dataset, at.data(), &stored) < 0) stored = 0;
      if (stored > file->size) throw error(sub, "a chunk is larger than the file");
      if (stored == 0) {
        data.resize(chunk_bytes);
        for (size_t i = 0; i < chunk_bytes; i += element) std::memcpy(data.data() + i, fill.data(), element);
      } else {
        data.resize(stored);
        uint32_t skipped = 0;
        if (H5Dread_chunk(dataset, H5P_DEFAULT, at.data(), &skipped, data.data()) < 0) throw library_error(sub, "a chunk cannot be read");
        try {
          data = unpack_chunk(std::move(data), filters, skipped, element, chunk_bytes);
        } catch (const ValueError& e) { throw error(sub, e.what()); }
      }
      place(data, chunk, at, element, out);
      more = false;
      for (size_t k = rank; k-- > 0 && !more;) {
        at[k] += chunk[k];
        more = at[k] < static_cast<hsize_t>(out.shape[static_cast<int>(k)]);
        if (!more) at[k] = 0;
      }
    }
  }

  /// Copies the part of a chunk that lies inside the array, row by row.
  static void place(const Bytes& data, const std::vector<hsize_t>& chunk, const std::vector<hsize_t>& at, size_t element, Array& out) {
    size_t rank = chunk.size();
    std::vector<hsize_t> size(rank), row(rank, 0);
    for (size_t k = 0; k < rank; ++k) size[k] = std::min<hsize_t>(chunk[k], static_cast<hsize_t>(out.shape[static_cast<int>(k)]) - at[k]);
    for (bool more = true; more;) {
      size_t from = 0, to = 0;
      for (size_t k = 0; k < rank; ++k) {
        from = from * chunk[k] + row[k];
        to = to * static_cast<size_t>(out.shape[static_cast<int>(k)]) + at[k] + row[k];
      }
      std::memcpy(out.data.data() + to * element, data.data() + from * element, size[rank - 1] * element);
      more = false;
      for (size_t k = rank - 1; k-- > 0 && !more;) {
        more = ++row[k] < size[k];
        if (!more) row[k] = 0;
      }
    }
  }

  // ---- attributes ----

  Value read_attr(hid_t object, const std::string& name, std::string_view sub) const {
    std::string shown = (sub.empty() ? "" : std::string(sub) + " ") + "attribute '" + name + "'";
    auto fail = [&](const std::string& why) { return bad_file(where(sub) + ", attribute '" + name + "'", why); };
    Id attr(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose);
    if (!attr.ok()) throw fail("it cannot be opened: " + library_reason());
    Id type(H5Aget_type(attr), H5Tclose), space(H5Aget_space(attr), H5Sclose);
    if (!type.ok() || !space.ok()) throw fail("it cannot be read: " + library_reason());
    if (H5Sget_simple_extent_type(space) == H5S_NULL) return Value();
    auto dims = dims_of(space, sub);
    H5T_class_t c = H5Tget_class(type);
    bool variable = c == H5T_STRING && H5Tis_variable_str(type) > 0;
    size_t element = variable ? sizeof(char*) : c == H5T_STRING ? H5Tget_size(type) : 8;
    uint64_t bytes = checked_bytes(dims, element);
    if (bytes > file->limits.attribute) throw fail("it declares shape " + Shape(dims).str() + ", too large");
    size_t count = element ? bytes / element : 0;
    List flat;
    flat.reserve(count);
    auto read_as = [&]<class T>(hid_t memory, T) {
      std::vector<T> values(count);
      if (count && H5Aread(attr, memory, values.data()) < 0) throw fail("it cannot be read: " + library_reason());
      return values;
    };
    if (variable) {
      Id memory = string_type(H5T_VARIABLE, H5Tget_cset(type), H5T_STR_NULLTERM);
      auto texts = read_as(memory, static_cast<char*>(nullptr));
      uint64_t total = 0;
      for (char* text : texts)
        if (text) total += std::strlen(text);
      bool fits = total <= file->limits.attribute;
      if (fits)
        for (char* text : texts) flat.emplace_back(std::string(text ? text : ""));
      if (count) H5Dvlen_reclaim(memory, space, H5P_DEFAULT, texts.data());
      if (!fits) throw fail("its strings are too large");
    } else if (c == H5T_STRING) {
      std::vector<char> raw(bytes);
      if (count && H5Aread(attr, type, raw.data()) < 0) throw fail("it cannot be read: " + library_reason());
      H5T_str_t pad = H5Tget_strpad(type);
      for (size_t i = 0; i < count; ++i) {
        std::string_view text(raw.data() + i * element, element);
        size_t end = pad == H5T_STR_NULLTERM ? text.find('\0') : text.find_last_not_of(pad == H5T_STR_SPACEPAD ? ' ' : '\0') + 1;
        flat.emplace_back(std::string(text.substr(0, end)));
      }
    } else if (c == H5T_ENUM && boolean_enum(type)) {
      Id memory = bool_type();
      for (int8_t v : read_as(memory, int8_t{})) flat.emplace_back(v != 0);
    } else if (c == H5T_INTEGER || c == H5T_ENUM) {
      Id base = c == H5T_ENUM ? Id(H5Tget_super(type), H5Tclose) : Id(H5Tcopy(type), H5Tclose);
      if (H5Tget_size(base) > 8) throw fail("its integers are wider than 64 bits");
      if (H5Tget_sign(base) == H5T_SGN_NONE) {
        for (uint64_t v : read_as(H5T_NATIVE_UINT64, uint64_t{})) {
          if (v > static_cast<uint64_t>(INT64_MAX)) throw fail("an integer is beyond 2^63");
          flat.emplace_back(static_cast<int64_t>(v));
        }
      } else {
        for (int64_t v : read_as(H5T_NATIVE_INT64, int64_t{})) flat.emplace_back(v);
      }
    } else if (c == H5T_FLOAT) {
      for (double v : read_as(H5T_NATIVE_DOUBLE, double{})) flat.emplace_back(v);
    } else {
      throw fail(std::string("it holds ") + class_name(c) + ", which are not read");
    }
    if (dims.empty()) return flat.empty() ? Value() : flat[0];
    size_t next = 0;
    auto nest = [&](auto&& self, size_t axis) -> Value {
      List list;
      for (int64_t i = 0; i < dims[axis]; ++i) list.push_back(axis + 1 == dims.size() ? flat[next++] : self(self, axis + 1));
      return Value(std::move(list));
    };
    return flat.empty() ? Value(List{}) : nest(nest, 0);
  }

  void write_attr(hid_t object, const std::string& name, hid_t type, const std::vector<hsize_t>& dims, const void* data,
                  std::string_view sub) const {
    auto fail = [&] {
      return RuntimeError(
          ErrorText{.what = "an HDF5 attribute cannot be written: " + library_reason(), .where = where(sub) + ", attribute '" + name + "'"}
              .str());
    };
    if (name.empty() || name.find('\0') != std::string::npos) throw ValueError("an HDF5 attribute needs a name");
    htri_t there = H5Aexists(object, name.c_str());
    if (there < 0 || (there > 0 && H5Adelete(object, name.c_str()) < 0)) throw fail();
    Id space = space_of(dims);
    Id plist(H5Pcreate(H5P_ATTRIBUTE_CREATE), H5Pclose);
    H5Pset_char_encoding(plist, H5T_CSET_UTF8);
    Id attr(H5Acreate2(object, name.c_str(), type, space, plist, H5P_DEFAULT), H5Aclose);
    if (!attr.ok()) throw fail();
    hsize_t count = 1;
    for (hsize_t d : dims) count *= d;
    if (count && H5Awrite(attr, type, data) < 0) throw fail();
  }

  void write_strings(hid_t object, const std::string& name, const std::vector<std::string>& texts, bool scalar, H5T_cset_t cset,
                     std::string_view sub) const {
    std::vector<const char*> pointers;
    for (const auto& text : texts) {
      if (text.find('\0') != std::string::npos)
        throw ValueError(
            ErrorText{.what = "a string with a zero byte cannot be an HDF5 attribute", .where = where(sub) + ", attribute '" + name + "'"}
                .str());
      pointers.push_back(text.c_str());
    }
    Id type = string_type(H5T_VARIABLE, cset, H5T_STR_NULLTERM);
    write_attr(object, name, type, scalar ? std::vector<hsize_t>{} : std::vector<hsize_t>{texts.size()}, pointers.data(), sub);
  }

  Id target(std::string_view of) const {
    check_open();
    return of.empty() ? Id(H5Oopen(id, ".", H5P_DEFAULT), H5Oclose) : get(of);
  }
};

// ---- groups ----

std::string H5Group::where(std::string_view path) const { return impl_->where(path); }

std::vector<H5Member> H5Group::members() const {
  Session session;
  impl_->check_open();
  std::vector<H5Member> out;
  for (auto& [name, type] : impl_->links(impl_->id, {})) {
    impl_->has_link(impl_->id, name, name);
    Id object(H5Oopen(impl_->id, name.c_str(), H5P_DEFAULT), H5Oclose);
    if (!object.ok()) throw impl_->library_error(name, "cannot open a member");
    H5I_type_t kind = H5Iget_type(object);
    out.push_back({std::move(name), kind == H5I_GROUP ? H5Kind::Group : kind == H5I_DATASET ? H5Kind::Dataset : H5Kind::Other});
  }
  return out;
}

bool H5Group::contains(std::string_view path) const {
  Session session;
  return impl_->find(path).ok();
}

static std::string joined(const std::string& base, std::string_view path) { return path.empty() ? base : base + "/" + std::string(path); }

H5Group H5Group::group(std::string_view path) const {
  Session session;
  auto impl = std::make_shared<Impl>();
  impl->file = impl_->file;
  impl->path = joined(impl_->path, path);
  impl->id = impl_->get_kind(path, H5I_GROUP, "group");
  return H5Group(std::move(impl));
}

H5Group H5Group::create_group(std::string_view path) {
  Session session;
  impl_->check_writable();
  impl_->check_path(path);
  // Names go in as the UTF-8 they are, without the mark that they are: it would turn the group into the newest layout.
  Id links(H5Pcreate(H5P_LINK_CREATE), H5Pclose), plist(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(links, 1);
  H5Pset_obj_track_times(plist, false);
  auto impl = std::make_shared<Impl>();
  impl->file = impl_->file;
  impl->path = joined(impl_->path, path);
  impl->id = Id(H5Gcreate2(impl_->id, std::string(path).c_str(), links, plist, H5P_DEFAULT), H5Gclose);
  if (!impl->id.ok()) throw ValueError(ErrorText{.what = "an HDF5 group cannot be made: " + library_reason(), .where = where(path)}.str());
  return H5Group(std::move(impl));
}

H5Group H5Group::require_group(std::string_view path) {
  Session session;
  return contains(path) ? group(path) : create_group(path);
}

// ---- datasets ----

H5DatasetInfo H5Group::info(std::string_view path) const {
  Session session;
  Id dataset = impl_->get_kind(path, H5I_DATASET, "dataset");
  bool swap;
  uint64_t bytes;
  return impl_->inspect(dataset, path, swap, bytes);
}

Array H5Group::read(std::string_view path) const {
  Session session;
  Id dataset = impl_->get_kind(path, H5I_DATASET, "dataset");
  bool swap = false;
  uint64_t bytes = 0;
  H5DatasetInfo info = impl_->inspect(dataset, path, swap, bytes);
  Array array{info.dtype, info.shape, Bytes(bytes)};
  // Read as it is stored: bits unchanged, and the library's conversion code never meets a type that a file made up.
  Id type(H5Dget_type(dataset), H5Tclose);
  Id plist(H5Dget_create_plist(dataset), H5Pclose);
  if (bytes && !impl_->file->writable && H5Pget_layout(plist) == H5D_CHUNKED && H5Pget_nfilters(plist) > 0)
    impl_->read_packed(dataset, type, plist, array, path);
  else if (bytes && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.data.data()) < 0)
    throw impl_->library_error(path, "a dataset cannot be read");
  size_t size = dtype_size(info.dtype);
  if (swap && size > 1)
    for (size_t i = 0; i < array.data.size(); i += size) std::reverse(array.data.data() + i, array.data.data() + i + size);
  if (info.dtype == DType::Bool)
    for (auto& b : array.data) b = b == std::byte{0} ? std::byte{0} : std::byte{1};
  return array;
}

void H5Group::write(std::string_view path, const Array& array) {
  Session session;
  impl_->check_writable();
  impl_->check_path(path);
  if (!array.shape.is_static() || checked_bytes(array.shape.dims(), dtype_size(array.dtype)) != array.data.size())
    throw ValueError(
        ErrorText{.what = "an array of shape " + array.shape.str() + " does not match its " + std::to_string(array.data.size()) + " bytes",
                  .where = where(path)}
            .str());
  auto fail = [&] {
    return RuntimeError(ErrorText{.what = "an HDF5 dataset cannot be written: " + library_reason(), .where = where(path)}.str());
  };
  Id links(H5Pcreate(H5P_LINK_CREATE), H5Pclose), plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(links, 1);
  H5Pset_obj_track_times(plist, false);  // equal content, equal bytes
  Id type = file_type(array.dtype);
  Id space = space_of({array.shape.begin(), array.shape.end()});
  Id dataset(H5Dcreate2(impl_->id, std::string(path).c_str(), type, space, links, plist, H5P_DEFAULT), H5Dclose);
  if (!dataset.ok()) throw fail();
  if (!array.data.empty() && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.data.data()) < 0) throw fail();
  if (array.dtype == DType::BFloat16) impl_->write_strings(dataset, "dtype", {"bfloat16"}, true, H5T_CSET_UTF8, path);
}

// ---- attributes ----

std::vector<std::string> H5Group::attr_names(std::string_view of) const {
  Session session;
  Id object = impl_->target(of);
  std::vector<std::string> names;
  hsize_t at = 0;
  auto visit = [](hid_t, const char* name, const H5A_info_t*, void* data) noexcept -> herr_t {
    static_cast<std::vector<std::string>*>(data)->emplace_back(name);
    return 0;
  };
  if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &at, visit, &names) < 0) throw impl_->library_error(of, "cannot list attributes");
  return names;
}

bool H5Group::has_attr(std::string_view name, std::string_view of) const {
  Session session;
  Id object = impl_->target(of);
  htri_t there = H5Aexists(object, std::string(name).c_str());
  if (there < 0) throw impl_->library_error(of, "cannot look up an attribute");
  return there > 0;
}

Value H5Group::attr(std::string_view name, std::string_view of) const {
  Session session;
  Id object = impl_->target(of);
  if (H5Aexists(object, std::string(name).c_str()) <= 0)
    throw ValueError(
        ErrorText{.what = "there is no attribute '" + std::string(name) + "'" + did_you_mean(name, attr_names(of)), .where = where(of)}
            .str());
  return impl_->read_attr(object, std::string(name), of);
}

std::string H5Group::attr_string(std::string_view name, std::string_view of) const {
  Value v = attr(name, of);
  if (!v.is_string())
    throw ValueError(
        ErrorText{.what = "the attribute '" + std::string(name) + "' is not a string", .where = where(of), .received = v.kind_name()}
            .str());
  return v.as_string();
}

std::vector<std::string> H5Group::attr_strings(std::string_view name, std::string_view of) const {
  std::vector<std::string> out;
  auto take = [&](const std::string& part) {
    Value v = attr(part, of);
    bool good = v.is_list();
    if (good)
      for (const auto& item : v.as_list()) {
        if (!item.is_string()) good = false;
        else out.push_back(item.as_string());
      }
    if (!good)
      throw ValueError(
          ErrorText{.what = "the attribute '" + part + "' is not a list of strings", .where = where(of), .received = v.str().substr(0, 80)}
              .str());
  };
  if (has_attr(name, of) || !has_attr(std::string(name) + "0", of)) {
    take(std::string(name));
  } else {
    for (size_t i = 0; has_attr(std::string(name) + std::to_string(i), of); ++i) take(std::string(name) + std::to_string(i));
  }
  return out;
}

void H5Group::set_attr(std::string_view name_view, const Value& value, std::string_view of) {
  Session session;
  impl_->check_writable();
  Id object = impl_->target(of);
  std::string name(name_view);
  auto wrong = [&](const std::string& what) {
    return TypeError(
        ErrorText{.what = what + " cannot be an HDF5 attribute", .where = where(of) + ", attribute '" + name + "'", .received = value.str()}
            .str());
  };
  bool scalar = !value.is_list();
  List items = scalar ? List{value} : value.as_list();
  std::vector<hsize_t> dims;
  if (!scalar) dims.push_back(items.size());
  auto all = [&](auto test) { return std::all_of(items.begin(), items.end(), test); };
  if (items.empty()) {  // what NumPy makes of an empty list
    impl_->write_attr(object, name, H5T_IEEE_F64LE, dims, nullptr, of);
  } else if (all([](const Value& v) { return v.is_string(); })) {
    std::vector<std::string> texts;
    for (const auto& v : items) texts.push_back(v.as_string());
    impl_->write_strings(object, name, texts, scalar, H5T_CSET_UTF8, of);
  } else if (all([](const Value& v) { return v.is_bool(); })) {
    std::vector<int8_t> bools;
    for (const auto& v : items) bools.push_back(v.as_bool());
    Id type = bool_type();
    impl_->write_attr(object, name, type, dims, bools.data(), of);
  } else if (all([](const Value& v) { return v.is_int(); })) {
    std::vector<int64_t> ints;
    for (const auto& v : items) ints.push_back(v.as_int());
    impl_->write_attr(object, name, H5T_STD_I64LE, dims, ints.data(), of);
  } else if (all([](const Value& v) { return v.is_number(); })) {
    std::vector<double> floats;
    for (const auto& v : items) floats.push_back(v.as_float());
    impl_->write_attr(object, name, H5T_IEEE_F64LE, dims, floats.data(), of);
  } else {
    throw wrong(scalar ? std::string("a value of kind ") + value.kind_name() : "a list of mixed kinds");
  }
}

void H5Group::set_attr_bytes(std::string_view name, std::string_view value, std::string_view of) {
  Session session;
  impl_->check_writable();
  Id object = impl_->target(of);
  impl_->write_strings(object, std::string(name), {std::string(value)}, true, H5T_CSET_ASCII, of);
}

void H5Group::set_attr_strings(std::string_view name_view, const std::vector<std::string>& values, std::string_view of) {
  Session session;
  impl_->check_writable();
  Id object = impl_->target(of);
  std::string name(name_view);
  if (values.empty()) return impl_->write_attr(object, name, H5T_IEEE_F64LE, {0}, nullptr, of);
  size_t width = 1;
  for (const auto& v : values) {
    if (v.size() > kHeaderLimit)
      throw RuntimeError(ErrorText{.what = "a string of " + std::to_string(v.size()) + " bytes does not fit into an HDF5 attribute list",
                                   .where = where(of) + ", attribute '" + name + "'"}
                             .str());
    width = std::max(width, v.size());
  }
  // As Keras cuts: the least number of parts of (nearly) equal length whose fixed-width array fits, the longer parts first.
  size_t n = values.size(), parts = 1;
  auto longest = [&] { return (n + parts - 1) / parts; };
  while (longest() * width > kHeaderLimit) ++parts;
  if (parts == 1) return impl_->write_strings(object, name, values, false, H5T_CSET_ASCII, of);
  Id type = string_type(width, H5T_CSET_ASCII, H5T_STR_NULLPAD);
  for (size_t part = 0, from = 0; part < parts; ++part) {
    size_t count = n / parts + (part < n % parts ? 1 : 0);
    std::string raw(count * width, '\0');
    for (size_t i = 0; i < count; ++i) values[from + i].copy(raw.data() + i * width, width);
    impl_->write_attr(object, name + std::to_string(part), type, {count}, raw.data(), of);
    from += count;
  }
}

// ---- files ----

static Id access_list() {
  Id fapl(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG);  // groups that outlive the file must not keep it open half-written
  return fapl;
}

/// The library takes two files in memory for one when they have the same name.
static std::string image_name() {
  static std::atomic<uint64_t> counter{0};
  return "keras_image_" + std::to_string(counter++) + ".h5";
}

H5File H5File::open(const std::string& path, const H5Limits& limits) {
  // Read whole rather than by name: the bytes that were checked are the bytes that are used.
  return from_bytes(read_file(path), path, limits);
}

H5File H5File::from_bytes(Bytes bytes, const std::string& where, const H5Limits& limits) {
  check_hdf5(bytes, where);
  Session session;
  auto file = std::make_shared<H5Group::File>();
  file->where = where;
  file->limits = limits;
  file->size = bytes.size();
  Id fapl = access_list();
  if (H5Pset_fapl_core(fapl, 1 << 20, 0) < 0 || H5Pset_file_image(fapl, bytes.data(), bytes.size()) < 0)
    throw RuntimeError("cannot open '" + where + "': " + library_reason());
  file->id = Id(H5Fopen(image_name().c_str(), H5F_ACC_RDONLY, fapl), H5Fclose);
  if (!file->id.ok()) throw bad_file(where, library_reason());
  auto root = std::make_shared<H5Group::Impl>();
  root->file = file;
  root->id = Id(H5Gopen2(file->id, "/", H5P_DEFAULT), H5Gclose);
  if (!root->id.ok()) throw bad_file(where, library_reason());
  return H5File(H5Group(std::move(root)));
}

static Id creation_list() {
  Id fcpl(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_obj_track_times(fcpl, false);
  return fcpl;
}

H5File H5File::create(const std::string& path) {
  auto file = std::make_shared<H5Group::File>();
  file->target = std::make_unique<AtomicFile>(path);
  Session session;
  file->where = path;
  file->writable = true;
  Id fapl = access_list(), fcpl = creation_list();
  file->id = Id(H5Fcreate(file->target->temp_path().c_str(), H5F_ACC_TRUNC, fcpl, fapl), H5Fclose);
  if (!file->id.ok()) throw RuntimeError("cannot write '" + path + "': " + library_reason());
  auto root = std::make_shared<H5Group::Impl>();
  root->file = file;
  root->id = Id(H5Gopen2(file->id, "/", H5P_DEFAULT), H5Gclose);
  return H5File(H5Group(std::move(root)));
}

H5File H5File::create_in_memory(const std::string& where) {
  Session session;
  auto file = std::make_shared<H5Group::File>();
  file->where = where;
  file->writable = true;
  Id fapl = access_list(), fcpl = creation_list();
  H5Pset_fapl_core(fapl, 1 << 20, 0);
  file->id = Id(H5Fcreate(image_name().c_str(), H5F_ACC_TRUNC, fcpl, fapl), H5Fclose);
  if (!file->id.ok()) throw RuntimeError("cannot make an HDF5 file in memory: " + library_reason());
  auto root = std::make_shared<H5Group::Impl>();
  root->file = file;
  root->id = Id(H5Gopen2(file->id, "/", H5P_DEFAULT), H5Gclose);
  return H5File(H5Group(std::move(root)));
}

Bytes H5File::bytes() const {
  Session session;
  const auto& impl = *root_.impl_;
  impl.check_open();
  hid_t id = impl.file->id;
  if (impl.file->writable && H5Fflush(id, H5F_SCOPE_GLOBAL) < 0)
    throw RuntimeError("cannot write '" + impl.file->where + "': " + library_reason());
  ssize_t size = H5Fget_file_image(id, nullptr, 0);
  Bytes out(size > 0 ? static_cast<size_t>(size) : 0);
  if (size <= 0 || H5Fget_file_image(id, out.data(), out.size()) != size)
    throw RuntimeError("cannot take the bytes of '" + impl.file->where + "': " + library_reason());
  return out;
}

void H5File::commit() {
  Session session;
  auto& file = *root_.impl_->file;
  if (!file.id.ok()) throw RuntimeError("the HDF5 file '" + file.where + "' is closed already");
  if (!file.target) throw RuntimeError("the HDF5 file '" + file.where + "' has no path to be put at");
  if (H5Fflush(file.id, H5F_SCOPE_GLOBAL) < 0) throw RuntimeError("cannot write '" + file.where + "': " + library_reason());
  file.id.reset();
  file.target->commit();
}

}  // namespace keras::io
