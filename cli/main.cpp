// What lives here: the program `keras`: which commands there are, and how it ends. It says what went wrong on stderr and
// returns 1 (2 for commands whose 1 is an answer); a wrong use of the command line returns another code and the help. Each command stands in
// the file of its name.
#include <iostream>

#include "common.h"

int main(int argc, char** argv) {
  using namespace keras::cli;
  CLI::App app{"keras: train, evaluate and run Keras models"};
  app.require_subcommand(1);
  std::vector<Command> commands;
  for (auto declare : {summary_command, explain_command, profile_command, train_command, evaluate_command, predict_command, doctor_command, convert_command, diff_command, verify_command})
    commands.push_back(declare(app));
  CLI11_PARSE(app, argc, argv);
  for (const Command& c : commands) {
    if (!c.app->parsed()) continue;
    try {
      return c.run();
    } catch (const std::exception& error) {
      std::cerr << "keras: " << error.what() << "\n";
      return c.trouble;
    }
  }
  return 0;
}
