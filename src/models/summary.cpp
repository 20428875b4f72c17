// What lives here: the table of a model's layers: Keras 3's box, and the plain lines of Keras 2.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <map>
#include <set>

#include <keras/models/model.h>

#include "base/message.h"
#include "models/functional.h"
#include "models/measure.h"
#include "models/trainer.h"

namespace keras {

namespace {

using layers::LayerImpl;
using models::FunctionalImpl;
using models::ModelImpl;
using models::SequentialImpl;

int64_t count(const std::vector<Variable>& vars) {
  int64_t n = 0;
  for (const Variable& v : vars) n += v.shape().numel();
  return n;
}
size_t bytes(const std::vector<Variable>& vars) {
  size_t n = 0;
  for (const Variable& v : vars) n += static_cast<size_t>(v.shape().numel()) * dtype_size(v.dtype());
  return n;
}
std::string size_text(size_t n, const char* byte) {
  const char* units[] = {byte, "KB", "MB", "GB", "TB", "PB"};
  double v = static_cast<double>(n);
  size_t u = 0;
  while (v >= 1024 && u + 1 < std::size(units)) v /= 1024, ++u;
  return fmt::format("{:.2f} {}", v, units[u]);
}
std::string with_commas(int64_t n) {
  std::string s = std::to_string(n);
  for (int i = static_cast<int>(s.size()) - 3; i > 0; i -= 3) s.insert(static_cast<size_t>(i), ",");
  return s;
}

/// Columns that a UTF-8 text takes.
size_t width(const std::string& s) {
  return static_cast<size_t>(std::count_if(s.begin(), s.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}
std::string cut(const std::string& s, size_t columns) {
  size_t seen = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    if ((static_cast<unsigned char>(s[i]) & 0xC0) != 0x80 && seen++ == columns) return s.substr(0, i);
  }
  return s;
}

struct Row {
  std::string name, cls, shape, params, connected, trainable, flops;
  int level = 0;
};

struct Table {
  bool sequential = true;
  std::vector<Row> rows;
};

std::string shapes_of(const core::Operation& op) {
  if (op.nodes().empty()) return "?";
  const core::Node& node = op.nodes().back();
  if (node.output_types.size() == 1) return node.output_types[0].shape.str();
  std::string s = "[";
  for (const auto& t : node.output_types) s += (s.size() > 1 ? ", " : "") + t.shape.str();
  return s + "]";
}

class Collector {
 public:
  Collector(const Model& handle, const SummaryOptions& o, bool plain) : o_(o), plain_(plain) {
    ModelImpl& model = handle.model_impl();
    if (o.flops) flops_ = models::flops_by_layer(handle, o.batch_size ? o.batch_size : 1);
    functional_ = dynamic_cast<FunctionalImpl*>(&model);
    if (functional_) {
      table_.sequential = is_chain(*functional_);
      for (const auto& step : functional_->steps()) relevant_.insert({step.operation.get(), step.node});
      for (const auto& op : functional_->operations()) add(*op, 0, "");
    } else {
      for (const Layer& l : model.layers()) add(*l.impl(), 0, "");
    }
  }
  Table table() { return table_; }

 private:
  // One node per depth, each with one input, no layer used twice: shown without connections.
  static bool is_chain(const FunctionalImpl& f) {
    std::set<const core::Operation*> seen;
    if (f.symbolic_inputs().size() != 1) return false;
    const core::Operation* before = f.symbolic_inputs()[0].impl()->history.operation.get();
    for (const auto& s : f.steps()) {
      Tensors in = s.operation->nodes()[static_cast<size_t>(s.node)].args.tensors();
      if (in.size() != 1 || in[0].impl()->history.operation.get() != before || !seen.insert(s.operation.get()).second) return false;
      before = s.operation.get();
    }
    return true;
  }
  std::string connections(const core::Operation& op) const {
    std::string s;
    for (size_t n = 0; n < op.nodes().size(); ++n) {
      if (!relevant_.count({&op, static_cast<int>(n)})) continue;
      for (const Tensor& t : op.nodes()[n].args.tensors()) {
        const auto& h = t.impl()->history;
        if (!h.operation) continue;
        if (!s.empty()) s += ", ";
        s += fmt::format("{}[{}][{}]", h.operation->name(), h.node, h.index);
      }
    }
    return s;
  }
  void add(const core::Operation& op, int level, const std::string& outer) {
    Row r;
    const std::string path = outer.empty() ? op.name() : outer + "/" + op.name();
    if (o_.flops) {
      const auto known = flops_.find(path);
      r.flops = known == flops_.end() ? "0" : with_commas(static_cast<int64_t>(known->second));
    }
    r.name = op.name();
    r.cls = op.class_name();
    r.level = level;
    r.shape = shapes_of(op);
    const auto* layer = dynamic_cast<const LayerImpl*>(&op);
    if (const auto* seq = dynamic_cast<const SequentialImpl*>(&op); seq && op.nodes().empty() && seq->functional()) r.shape = seq->functional()->symbolic_outputs()[0].shape().str();
    if (!layer) r.params = "0";
    else if (!layer->built_) r.params = "0 (unbuilt)";
    else r.params = plain_ ? std::to_string(count(layer->weights())) : with_commas(count(layer->weights()));
    if (plain_ && r.cls == "InputLayer") r.shape = "[" + r.shape + "]";
    r.connected = connections(op);
    if (r.connected.empty() && !plain_) r.connected = "-";
    bool has_weights = layer && !layer->weights().empty();
    r.trainable = !has_weights ? "-" : layer->trainable_ ? "Y" : "N";
    if (plain_ && layer) r.trainable = layer->trainable_ ? "Y" : "N";
    table_.rows.push_back(r);
    if (!o_.expand_nested || !layer || !layer->is_model()) return;
    for (const Layer& l : static_cast<const ModelImpl*>(layer)->layers()) add(*l.impl(), level + 1, path);
  }

  SummaryOptions o_;
  bool plain_;
  FunctionalImpl* functional_ = nullptr;
  std::set<std::pair<const core::Operation*, int>> relevant_;
  std::map<std::string, double> flops_;  // by path
  Table table_;
};

int terminal_columns() {
  if (const char* c = std::getenv("COLUMNS"); c && std::atoi(c) > 0) return std::atoi(c);
  winsize w{};
  if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) return w.ws_col;
  return 80;
}

// ---- Keras 3's box
enum class Align { Left, Right, Center };

std::vector<std::string> wrap(const std::string& text, size_t columns) {
  std::vector<std::string> lines;
  std::string line;
  auto push = [&](std::string s) { lines.push_back(width(s) > columns ? cut(s, columns - 1) + "…" : s); };
  size_t at = 0;
  while (at <= text.size()) {
    size_t space = text.find(' ', at);
    std::string word = text.substr(at, space == std::string::npos ? std::string::npos : space - at);
    std::string longer = line.empty() && at == 0 ? word : line + " " + word;
    if (lines.empty() && line.empty() && at == 0) line = word;
    else if (width(longer) <= columns) line = longer;
    else {
      push(line);
      line = word;
    }
    if (space == std::string::npos) break;
    at = space + 1;
  }
  push(line);
  return lines;
}
std::string aligned(const std::string& s, size_t columns, Align a) {
  size_t n = width(s), gap = columns > n ? columns - n : 0;
  size_t left = a == Align::Left ? 0 : a == Align::Right ? gap : gap / 2;
  return std::string(left, ' ') + s + std::string(gap - left, ' ');
}

std::string boxed(const Model& model, const Table& t, const SummaryOptions& o) {
  std::vector<double> positions = t.sequential ? std::vector<double>{0.45, 0.80, 1.0} : std::vector<double>{0.3, 0.56, 0.74, 1.0};
  std::vector<std::string> header = {"Layer (type)", "Output Shape", "Param #"};
  std::vector<Align> align = {Align::Left, Align::Left, Align::Right};
  int length = t.sequential ? 88 : 108;
  if (!t.sequential) header.push_back("Connected to"), align.push_back(Align::Left);
  if (o.show_trainable) {
    length += 12;
    for (double& p : positions) p *= 0.90;
    positions.push_back(1.0);
    header.push_back("Trainable");
    align.push_back(Align::Center);
  }
  if (o.flops) {
    length += 16;
    for (double& p : positions) p *= 0.86;
    positions.push_back(1.0);
    header.push_back("FLOPs");
    align.push_back(Align::Right);
  }
  length = o.line_length > 0 ? o.line_length : std::min(length, terminal_columns() - 4);
  std::vector<int> columns;
  int current = 0;
  for (double p : positions) {
    int w = static_cast<int>(p * length) - current;
    if (w < 4) throw ValueError(ErrorText{.what = "the line is too short for a summary", .received = "line_length=" + std::to_string(length)}.str());
    columns.push_back(w + 2);
    current += w;
  }
  // The borders and the padding have to fit too: what is too much is taken from all columns alike.
  int excess = -(length - static_cast<int>(columns.size()) - 1);
  for (int c : columns) excess += c;
  int remaining = excess, ratio = static_cast<int>(columns.size());
  for (int& c : columns) {
    if (remaining <= 0) break;
    int d = std::min(c, static_cast<int>(std::nearbyint(static_cast<double>(remaining) / ratio)));
    c -= d, remaining -= d, --ratio;
  }
  auto rule = [&](const char* left, const char* fill, const char* mid, const char* right) {
    std::string s = left;
    for (size_t i = 0; i < columns.size(); ++i) {
      for (int k = 0; k < columns[i]; ++k) s += fill;
      s += i + 1 < columns.size() ? mid : right;
    }
    return s + "\n";
  };
  auto row = [&](const std::vector<std::string>& cells, const char* bar) {
    std::vector<std::vector<std::string>> lines;
    size_t height = 1;
    for (size_t i = 0; i < cells.size(); ++i) {
      lines.push_back(wrap(cells[i], static_cast<size_t>(std::max(1, columns[i] - 2))));
      height = std::max(height, lines.back().size());
    }
    std::string s;
    for (size_t h = 0; h < height; ++h) {
      s += bar;
      for (size_t i = 0; i < cells.size(); ++i)
        s += " " + aligned(h < lines[i].size() ? lines[i][h] : "", static_cast<size_t>(std::max(1, columns[i] - 2)), align[i]) + " " + bar;
      s += "\n";
    }
    return s;
  };
  std::string s = fmt::format("Model: \"{}\"\n", model.name());
  s += rule("┏", "━", "┳", "┓") + row(header, "┃") + rule("┡", "━", "╇", "┩");
  for (size_t i = 0; i < t.rows.size(); ++i) {
    const Row& r = t.rows[i];
    std::string prefix;
    if (r.level) {
      for (int k = 0; k < r.level; ++k) prefix += "   ";
      prefix += "└ ";
    }
    std::vector<std::string> cells = {prefix + r.name + " (" + r.cls + ")", r.shape, r.params};
    if (!t.sequential) cells.push_back(r.connected.empty() ? "-" : r.connected);
    if (o.show_trainable) cells.push_back(r.trainable);
    if (o.flops) cells.push_back(r.flops);
    s += row(cells, "│");
    s += i + 1 < t.rows.size() ? rule("├", "─", "┼", "┤") : rule("└", "─", "┴", "┘");
  }
  std::vector<Variable> trainable = model.trainable_weights(), frozen = model.non_trainable_weights(), optimizer;
  if (model.compiled() && model.optimizer().built()) optimizer = model.optimizer().variables();
  auto total = [&](const char* what, int64_t n, size_t b) { s += fmt::format(" {} params: {} ({})\n", what, with_commas(n), size_text(b, "B")); };
  total("Total", count(trainable) + count(frozen) + count(optimizer), bytes(trainable) + bytes(frozen) + bytes(optimizer));
  total("Trainable", count(trainable), bytes(trainable));
  total("Non-trainable", count(frozen), bytes(frozen));
  if (!optimizer.empty()) total("Optimizer", count(optimizer), bytes(optimizer));
  return s;
}

// ---- Keras 2's lines
std::string plain(const Model& model, const Table& t, const SummaryOptions& o) {
  int length = o.line_length > 0 ? o.line_length : t.sequential ? 65 : 98;
  std::vector<double> fractions = t.sequential ? std::vector<double>{0.45, 0.85, 1.0} : std::vector<double>{0.3, 0.6, 0.7, 1.0};
  std::vector<std::string> header = {"Layer (type)", "Output Shape", "Param #"};
  if (!t.sequential) header.push_back("Connected to");
  if (o.show_trainable) {
    length += 11;
    std::vector<double> scaled;
    for (double f : fractions) scaled.push_back(f * (length - 11) / length);
    scaled.push_back(1.0);
    fractions = scaled;
    header.push_back("Trainable");
  }
  if (o.flops) {
    for (double& f : fractions) f = f * length / (length + 16);
    length += 16;
    fractions.push_back(1.0);
    header.push_back("FLOPs");
  }
  std::vector<size_t> positions;
  for (double f : fractions) positions.push_back(static_cast<size_t>(length * f + 1e-9));
  std::string s = fmt::format("Model: \"{}\"\n", model.name());
  auto line_of = [&](char c) { s += std::string(static_cast<size_t>(length), c) + "\n"; };
  auto row = [&](std::vector<std::string> left, int level) {
    while (std::any_of(left.begin(), left.end(), [](const std::string& x) { return !x.empty(); })) {
      std::string line;
      for (size_t c = 0; c < left.size(); ++c) {
        bool last = c + 1 == positions.size();
        size_t start = c ? positions[c - 1] : 0, space = last ? 0 : 2;
        // Two columns stay free before the next one, and one for the space that every line begins with.
        size_t room = positions[c] - start - space - (last ? 0 : 1) - (c ? 0 : static_cast<size_t>(level));
        std::string part = left[c].substr(0, room);
        // Broken after the end of a tuple, so that long lists read well.
        size_t cut_at = part.size();
        for (const char* end : {"),", "},", "],", "',"})
          if (size_t at = part.find(end); at != std::string::npos) cut_at = std::min(cut_at, at + 2);
        part = part.substr(0, cut_at);
        if (c == 0) line += std::string(static_cast<size_t>(level), '|') + " ";
        line += part;
        left[c] = left[c].substr(part.size());
        line += std::string(space, ' ');
        size_t to = positions[c] - (last ? static_cast<size_t>(level) : 0);
        if (line.size() < to) line += std::string(to - line.size(), ' ');
      }
      s += line + std::string(static_cast<size_t>(level), '|') + "\n";
    }
  };
  // A line between the bars of a nested model.
  auto between = [&](int level, const char* fill) {
    std::string bars(static_cast<size_t>(level), '|');
    s += bars;
    for (int i = 0; i < length - 2 * level; ++i) s += fill;
    s += bars + "\n";
  };
  line_of('_');
  row(header, 0);
  line_of('=');
  for (size_t i = 0; i < t.rows.size(); ++i) {
    const Row& r = t.rows[i];
    std::vector<std::string> cells = {r.name + " (" + r.cls + ")", r.shape, r.params};
    if (!t.sequential) {
      std::string c = r.connected;
      // ['a[0][0]', 'b[0][0]'], as Keras 2 lists them.
      std::string listed = "[";
      size_t at = 0;
      while (!c.empty() && at != std::string::npos) {
        size_t next = c.find(", ", at);
        listed += (listed.size() > 1 ? ", '" : "'") + c.substr(at, next == std::string::npos ? std::string::npos : next - at) + "'";
        at = next == std::string::npos ? next : next + 2;
      }
      cells.push_back(listed + "]");
    }
    if (o.show_trainable) cells.push_back(r.trainable);
    if (o.flops) cells.push_back(r.flops);
    row(cells, r.level);
    int next = i + 1 < t.rows.size() ? t.rows[i + 1].level : 0;
    if (next > r.level) between(r.level + 1, "¯");
    else if (next == r.level) between(r.level, " ");
    // Nested models that end here are closed, from the inside out.
    for (int level = r.level - 1; level >= next; --level) between(level, "¯");
  }
  line_of('=');
  std::vector<Variable> trainable = model.trainable_weights(), frozen = model.non_trainable_weights();
  auto total = [&](const char* what, int64_t n, size_t b) { s += fmt::format("{} params: {} ({})\n", what, n, size_text(b, "Byte")); };
  total("Total", count(trainable) + count(frozen), bytes(trainable) + bytes(frozen));
  total("Trainable", count(trainable), bytes(trainable));
  total("Non-trainable", count(frozen), bytes(frozen));
  line_of('_');
  return s;
}

/// What was asked for beside Keras' table.
std::string measured_lines(const Model& model, const SummaryOptions& o) {
  std::string s;
  if (o.flops) {
    const int64_t rows = o.batch_size ? o.batch_size : 1;
    const auto flops = models::flops_by_layer(model, rows);
    if (!flops.empty()) s += fmt::format(" FLOPs of a forward pass (batch {}): {}\n", rows, with_commas(static_cast<int64_t>(flops.at(""))));
  }
  if (o.memory) {
    const int64_t rows = o.batch_size ? o.batch_size : 32;
    Model m = model;
    const models::PredictedMemory p = models::predicted_memory(m, rows);
    s += fmt::format(" Peak memory of {} (batch {}): {} (variables {}, plan {}, data {})\n", p.training ? "training" : "prediction", rows, size_text(p.total(), "B"), size_text(p.variables, "B"),
                     size_text(p.plan, "B"), size_text(p.data, "B"));
  }
  return s;
}

}  // namespace

std::string Model::summary_text(const SummaryOptions& o) const {
  if (o.style != "plain" && o.style != "boxed")
    throw ValueError(ErrorText{.what = "the style of the summary is unknown" + did_you_mean(o.style, {"plain", "boxed"}), .expected = "plain or boxed", .received = o.style}.str());
  bool plain_style = o.style == "plain";
  Table t = Collector(*this, o, plain_style).table();
  return (plain_style ? plain(*this, t, o) : boxed(*this, t, o)) + measured_lines(*this, o);
}
void Model::summary(const SummaryOptions& o) const {
  print_message(summary_text(o));
}

}  // namespace keras
