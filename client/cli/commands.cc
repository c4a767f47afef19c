#include "client/cli/command.h"

namespace convserve::cli {

const std::vector<Command>& Commands() {
  static const auto* const commands = new std::vector<Command>{
      ConvCommand(),  ConvTransposeCommand(), DescribeCommand(), ExplainCommand(),
      SolveCommand(), HealthCommand(),        BenchCommand(),
  };
  return *commands;
}

}  // namespace convserve::cli
