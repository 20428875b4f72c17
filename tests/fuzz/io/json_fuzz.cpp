// What lives here: JSON text from anywhere.
#include "fuzz/fuzz_target.h"
#include "io/json.h"

namespace keras::fuzz {
namespace {

void run(const Bytes& input) {
  attempt("f.json", [&] {
    Value v = io::parse_json(text_of(input), "f.json");
    // Text is compared, not values: NaN is not equal to itself.
    std::string text = io::to_json(v);
    if (io::to_json(io::parse_json(text, "again")) != text) throw Finding("a document that does not survive writing: " + text.substr(0, 200));
  });
}

void seeds(const Sink& sink) {
  sink("object", bytes_of(R"({"class_name": "Dense", "config": {"units": 3, "rate": 0.5, "use_bias": true, "shape": [null, 4], "x": -1e-7}})"));
  sink("strings", bytes_of("[\"\\u00e9\\ud83d\\ude00\\n\\\"\\\\\", \"\xc3\xa9\", \"\", \"\\ud800\"]"));
  sink("numbers", bytes_of("[0, -0.0, 1e308, 1e999, NaN, Infinity, -Infinity, 9223372036854775807, -9223372036854775808, 1.5e-320]"));
  sink("deep", bytes_of(std::string(199, '[') + std::string(199, ']')));
  sink("too_deep", bytes_of(std::string(100000, '[')));
  sink("many_keys", bytes_of("{\"a\": 1, \"a\": 2, \"b\": {\"a\": {}}}"));
}

const Register registered({"json", run, seeds, mutate_json, 200});

}  // namespace
}  // namespace keras::fuzz
