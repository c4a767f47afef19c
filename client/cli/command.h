// The commands of convctl. A new one is a file with a function that returns its Command, and a line
// in the table of commands.cc.
#ifndef CONVSERVE_CLIENT_CLI_COMMAND_H_
#define CONVSERVE_CLIENT_CLI_COMMAND_H_

#include <functional>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "client/cli/session.h"

namespace convserve::cli {

// Carries a command out, after its options were parsed. A status that is not OK becomes the message
// on err and the exit code.
using Action = std::function<absl::Status(Session&)>;

struct Command {
  std::string name;
  std::string summary;
  // Lines that work when pasted into a shell; shown by --help and run by tests.
  std::vector<std::string> examples;
  // Declares the command's options on its own CLI::App; the action owns what they are parsed into.
  std::function<Action(CLI::App& app)> declare;
  // What --help says before the examples; may be empty.
  std::string notes = {};
};

Command BenchCommand();
Command ConvCommand();
Command ConvTransposeCommand();
Command DescribeCommand();
Command ExplainCommand();
Command HealthCommand();
Command SolveCommand();

// All of them, in the order of --help.
const std::vector<Command>& Commands();

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_COMMAND_H_
