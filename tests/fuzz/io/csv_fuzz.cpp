// What lives here: comma-separated numbers from anywhere. The first byte chooses the options.
#include "fuzz/fuzz_target.h"
#include "io/csv.h"

namespace keras::fuzz {
namespace {

void run(const Bytes& input) {
  if (input.empty()) return;
  int choice = static_cast<int>(input[0]);
  io::CsvOptions options;
  options.header = choice % 3 == 0 ? io::CsvHeader::Auto : choice % 3 == 1 ? io::CsvHeader::Yes : io::CsvHeader::No;
  options.dtype = choice & 8 ? DType::Float32 : DType::Float64;
  options.delimiter = choice & 16 ? ';' : ',';
  attempt("f.csv", [&] {
    io::Table table = io::parse_csv(text_of(input).substr(1), "f.csv", options);
    size_t columns = static_cast<size_t>(table.values.shape[1]);
    if (!table.names.empty() && table.names.size() != columns) throw Finding("names that are not as many as columns");
    for (size_t c = 0; c < columns; ++c) table.column_values(c);
    if (table.values.numel() == 0) return;
    std::string text = io::to_csv(table.values, {}, options.delimiter);
    io::CsvOptions plain = options;
    plain.header = io::CsvHeader::No;
    if (io::to_csv(io::parse_csv(text, "again", plain).values, {}, options.delimiter) != text) throw Finding("a table that does not survive writing");
  });
}

void seeds(const Sink& sink) {
  sink("header", bytes_of(std::string(1, '\0') + "date,ppm\n1958.2,316.1\n1958.3,\n"));
  sink("numbers", bytes_of("\2" "1,2,3\r\n4,5e300,-inf\r\n\r\nnan,0x1,7\r\n"));
  sink("quotes", bytes_of(std::string(1, '\0') + "\"a\"\"b\",\"c,d\"\n\"1\",\"2\"\n"));
  sink("semicolons", bytes_of("\x18" "1;2\n3;4\n"));
}

const Register registered({"csv", run, seeds, nullptr, 2000});

}  // namespace
}  // namespace keras::fuzz
