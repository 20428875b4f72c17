// What lives here: what several commands share: how a command is declared, and how models, data and texts are opened. No command.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <keras/models/model.h>

namespace keras::cli {

/// A subcommand as the command line knows it, and what it does once its options are parsed; `run` gives the exit code.
struct Command {
  CLI::App* app;
  std::function<int()> run;
  /// The exit code when `run` throws; 2 where 1 is an answer.
  int trouble = 1;
};

// One function per command, each in the file of its name.
Command summary_command(CLI::App& app);
Command explain_command(CLI::App& app);
Command profile_command(CLI::App& app);
Command train_command(CLI::App& app);
Command evaluate_command(CLI::App& app);
Command predict_command(CLI::App& app);
Command doctor_command(CLI::App& app);
Command convert_command(CLI::App& app);
Command diff_command(CLI::App& app);
Command verify_command(CLI::App& app);

std::string read_text(const std::string& path);
/// All or nothing: a reader sees the old text or the new one.
void write_text(const std::string& path, const std::string& text);

/// A `.keras` or `.h5` file, or the JSON of an architecture; with weights of another file when `weights` names one.
Model open_model(const std::string& path, const std::string& weights, bool compile = true);

/// What the data file holds: `.npz` with x, y, sample_weight (x_<name>, y_<name> for several), `.npy` (x alone), or CSV, whose columns
/// named y… (or the last one) are the targets.
struct Data {
  Arrays x, y, w;
};
Data read_data(const std::string& path, const Model& model, bool targets);

/// The non-empty parts of `text`.
std::vector<std::string> split(const std::string& text, char by);
/// JSON given in place, or a file that holds it.
Value json_or_file(const std::string& text);

/// How a command line says that a model is compiled.
struct CompileChoice {
  std::string config, optimizer, loss, metrics;
  bool given() const { return !config.empty() || !optimizer.empty() || !loss.empty() || !metrics.empty(); }
};
/// Compiles as chosen; ValueError naming `path` when nothing is chosen and the file held no compile state.
void compile_model(Model& model, const CompileChoice& choice, const std::string& path);

}  // namespace keras::cli
