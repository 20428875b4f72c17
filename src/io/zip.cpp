// What lives here: zip archives over libzip, which reads nothing here before its declared sizes were judged.
#include "io/zip.h"

#include <zip.h>

#include <cerrno>
#include <ctime>
#include <filesystem>
#include <unordered_map>

#include <keras/base/error.h>

#include "io/file.h"

namespace keras::io {
namespace {

std::string error_text(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

ValueError bad_archive(const std::string& where, const std::string& why, const std::string& member = {}) {
  return ValueError(
      ErrorText{.what = "not a usable zip archive: " + why, .where = where + (member.empty() ? "" : ", member '" + member + "'")}.str());
}

/// Why a member of that name could be unpacked outside its folder, or "".
std::string name_problem(std::string_view name) {
  if (name.empty()) return "its name is empty";
  if (name.find('\0') != std::string_view::npos) return "its name holds a zero byte";
  if (name[0] == '/' || name[0] == '\\' || (name.size() > 1 && name[1] == ':')) return "its name is an absolute path";
  for (size_t from = 0; from <= name.size();) {
    size_t to = std::min(name.find_first_of("/\\", from), name.size());
    if (name.substr(from, to - from) == "..") return "its name leaves the archive by '..'";
    from = to + 1;
  }
  return {};
}

}  // namespace

struct ZipReader::Impl {
  std::string where;
  Bytes bytes;
  zip_t* zip = nullptr;
  std::vector<ZipEntry> entries;
  std::unordered_map<std::string, std::pair<size_t, uint64_t>> index;  // name → place in entries, libzip's index

  ~Impl() {
    if (zip) zip_discard(zip);
  }

  void check(uint64_t archive_bytes, const ZipLimits& limits) {
    zip_int64_t count = zip_get_num_entries(zip, 0);
    if (count < 0 || static_cast<uint64_t>(count) > limits.members)
      throw bad_archive(where, "it declares " + std::to_string(count) + " members, more than " + std::to_string(limits.members));
    uint64_t total = 0;
    for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
      zip_stat_t stat;
      zip_stat_init(&stat);
      if (zip_stat_index(zip, i, 0, &stat) != 0 || !(stat.valid & ZIP_STAT_NAME) || !stat.name)
        throw bad_archive(where, "member " + std::to_string(i) + " has no readable entry: " + zip_strerror(zip));
      std::string name = stat.name;
      if (auto why = name_problem(name); !why.empty()) throw bad_archive(where, why, name);
      constexpr auto needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
      if ((stat.valid & needed) != needed) throw bad_archive(where, "its size is not declared", name);
      if (stat.encryption_method != ZIP_EM_NONE) throw bad_archive(where, "it is encrypted", name);
      if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
        throw bad_archive(where, "its compression method " + std::to_string(stat.comp_method) + " is neither stored nor deflated", name);
      if (stat.comp_size > archive_bytes)
        throw bad_archive(where,
                          "it declares " + std::to_string(stat.comp_size) + " stored bytes in an archive of " +
                              std::to_string(archive_bytes) + " (truncated?)",
                          name);
      if (stat.comp_method == ZIP_CM_STORE && stat.size != stat.comp_size)
        throw bad_archive(where, "it is stored, but declares two sizes", name);
      if (stat.size > limits.member) throw bad_archive(where, "it declares " + std::to_string(stat.size) + " bytes, too many", name);
      if (stat.size > limits.expansion_floor && stat.size / limits.expansion > stat.comp_size)
        throw bad_archive(where,
                          "it declares " + std::to_string(stat.size) + " bytes, but takes only " + std::to_string(stat.comp_size) +
                              " in the archive (a decompression bomb?)",
                          name);
      total += stat.size;
      if (total > limits.total)
        throw bad_archive(where, "its members together declare more than " + std::to_string(limits.total) + " bytes");
      if (!index.try_emplace(name, entries.size(), i).second) throw bad_archive(where, "the name comes twice", name);
      if (name.back() == '/') {
        index.at(name).first = SIZE_MAX;
        continue;
      }
      entries.push_back({name, stat.size, stat.comp_size});
    }
  }

  template <class Buffer> Buffer read(std::string_view name) const {
    auto found = index.find(std::string(name));
    if (found == index.end() || found->second.first == SIZE_MAX) {
      std::vector<std::string> known;
      for (const auto& entry : entries) known.push_back(entry.name);
      throw ValueError(
          ErrorText{.what = "the archive has no member '" + std::string(name) + "'" + did_you_mean(name, known), .where = where}.str());
    }
    const ZipEntry& entry = entries[found->second.first];
    std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(zip, found->second.second, 0), zip_fclose);
    if (!file) throw bad_archive(where, zip_strerror(zip), entry.name);
    // Grown as bytes really come: a deflated member may still declare far more than it holds.
    Buffer out;
    uint64_t used = 0;
    while (used < entry.size) {
      uint64_t step = std::min<uint64_t>(entry.size - used, std::max<uint64_t>(used, uint64_t{16} << 20));
      out.resize(used + step);
      zip_int64_t n = zip_fread(file.get(), out.data() + used, step);
      if (n < 0) throw bad_archive(where, zip_file_strerror(file.get()), entry.name);
      if (n == 0)
        throw bad_archive(where, "it ends after " + std::to_string(used) + " of " + std::to_string(entry.size) + " bytes", entry.name);
      used += static_cast<uint64_t>(n);
    }
    out.resize(used);
    char surplus;  // reading the end makes libzip compare the checksum
    zip_int64_t n = zip_fread(file.get(), &surplus, 1);
    if (n > 0) throw bad_archive(where, "it holds more than the declared " + std::to_string(entry.size) + " bytes", entry.name);
    if (n < 0) throw bad_archive(where, zip_file_strerror(file.get()), entry.name);
    return out;
  }
};

ZipReader::ZipReader(const std::string& path, const ZipLimits& limits) : impl_(std::make_unique<Impl>()) {
  impl_->where = path;
  std::error_code failed;
  uint64_t size = std::filesystem::file_size(path, failed);
  if (failed) throw RuntimeError("cannot open '" + path + "': " + failed.message());
  int code = 0;
  impl_->zip = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (!impl_->zip) {
    if (code == ZIP_ER_OPEN || code == ZIP_ER_READ)
      throw RuntimeError("cannot open '" + path + "': " + std::generic_category().message(errno));
    throw bad_archive(path, error_text(code) + (code == ZIP_ER_NOZIP ? " (truncated?)" : ""));
  }
  impl_->check(size, limits);
}

ZipReader::ZipReader(Bytes bytes, const std::string& where, const ZipLimits& limits) : impl_(std::make_unique<Impl>()) {
  impl_->where = where;
  impl_->bytes = std::move(bytes);
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(impl_->bytes.data(), impl_->bytes.size(), 0, &error);
  if (source) impl_->zip = zip_open_from_source(source, ZIP_RDONLY, &error);
  std::string why = impl_->zip ? "" : zip_error_strerror(&error);
  zip_error_fini(&error);
  if (!impl_->zip) {
    if (source) zip_source_free(source);
    throw bad_archive(where, why + " (truncated?)");
  }
  impl_->check(impl_->bytes.size(), limits);
}

ZipReader::ZipReader(ZipReader&&) noexcept = default;
ZipReader& ZipReader::operator=(ZipReader&&) noexcept = default;
ZipReader::~ZipReader() = default;

const std::string& ZipReader::where() const { return impl_->where; }
const std::vector<ZipEntry>& ZipReader::entries() const { return impl_->entries; }
bool ZipReader::contains(std::string_view name) const {
  auto found = impl_->index.find(std::string(name));
  return found != impl_->index.end() && found->second.first != SIZE_MAX;
}
Bytes ZipReader::read(std::string_view name) const { return impl_->read<Bytes>(name); }
std::string ZipReader::read_text(std::string_view name) const { return impl_->read<std::string>(name); }

void ZipWriter::add(const std::string& name, Bytes bytes) {
  auto why = name_problem(name);
  if (why.empty() && name.back() == '/') why = "its name ends with '/'";
  for (const auto& member : members_)
    if (member.first == name) why = "the name comes twice";
  if (!why.empty()) throw ValueError("cannot add the member '" + name + "' to a zip archive: " + why);
  members_.emplace_back(name, std::move(bytes));
}

void ZipWriter::add_text(const std::string& name, std::string_view text) {
  auto bytes = as_bytes(text);
  add(name, Bytes(bytes.begin(), bytes.end()));
}

namespace {

// libzip removes an archive without members instead of writing it.
constexpr char kEmptyArchive[] = "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
static_assert(sizeof kEmptyArchive == 22);

/// Hands the members to libzip and closes the archive, which writes it. The members' bytes must live until then.
void fill(zip_t* zip, const std::vector<std::pair<std::string, Bytes>>& members, const std::string& where) {
  std::tm start{};  // libzip writes local time, so 1980-01-01 is asked for in local time
  start.tm_year = 80;
  start.tm_mday = 1;
  start.tm_isdst = -1;
  time_t dated = std::mktime(&start);
  auto failed = [&](const std::string& name) {
    std::string why = zip_strerror(zip);
    zip_discard(zip);
    return RuntimeError("cannot write '" + where + "'" + (name.empty() ? "" : ", member '" + name + "'") + ": " + why);
  };
  for (const auto& [name, bytes] : members) {
    zip_source_t* source = zip_source_buffer(zip, bytes.data(), bytes.size(), 0);
    zip_int64_t at = source ? zip_file_add(zip, name.c_str(), source, ZIP_FL_ENC_UTF_8) : -1;
    if (at < 0) {
      if (source) zip_source_free(source);
      throw failed(name);
    }
    auto index = static_cast<zip_uint64_t>(at);
    if (zip_set_file_compression(zip, index, ZIP_CM_STORE, 0) != 0 || zip_file_set_mtime(zip, index, dated, 0) != 0) throw failed(name);
  }
  if (zip_close(zip) != 0) throw failed({});
}

}  // namespace

void ZipWriter::write(const std::string& path) const {
  AtomicFile file(path);
  if (members_.empty()) {
    file.write(as_bytes({kEmptyArchive, sizeof kEmptyArchive}));
  } else {
    int code = 0;
    zip_t* zip = zip_open(file.temp_path().c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
    if (!zip) throw RuntimeError("cannot write '" + path + "': " + error_text(code));
    fill(zip, members_, path);
  }
  file.commit();
}

Bytes ZipWriter::bytes() const {
  if (members_.empty()) {
    auto empty = as_bytes({kEmptyArchive, sizeof kEmptyArchive});
    return Bytes(empty.begin(), empty.end());
  }
  zip_error_t error;
  zip_error_init(&error);
  std::unique_ptr<zip_source_t, void (*)(zip_source_t*)> source(zip_source_buffer_create(nullptr, 0, 0, &error), zip_source_free);
  zip_t* zip = source ? zip_open_from_source(source.get(), ZIP_CREATE | ZIP_TRUNCATE, &error) : nullptr;
  std::string why = zip ? "" : zip_error_strerror(&error);
  zip_error_fini(&error);
  if (!zip) throw RuntimeError("cannot write a zip archive in memory: " + why);
  zip_source_keep(source.get());  // the archive owns one reference and drops it when closed
  fill(zip, members_, "archive in memory");
  zip_stat_t stat;
  zip_stat_init(&stat);
  Bytes out;
  if (zip_source_stat(source.get(), &stat) != 0 || !(stat.valid & ZIP_STAT_SIZE) || zip_source_open(source.get()) != 0)
    throw RuntimeError("cannot read back a zip archive written in memory");
  out.resize(stat.size);
  zip_int64_t n = zip_source_read(source.get(), out.data(), out.size());
  zip_source_close(source.get());
  if (n < 0 || static_cast<uint64_t>(n) != out.size()) throw RuntimeError("cannot read back a zip archive written in memory");
  return out;
}

}  // namespace keras::io
