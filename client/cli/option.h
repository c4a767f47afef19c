// Options whose text has a syntax of its own.
#ifndef CONVSERVE_CLIENT_CLI_OPTION_H_
#define CONVSERVE_CLIENT_CLI_OPTION_H_

#include <string>
#include <string_view>
#include <utility>

#include "CLI/App.hpp"
#include "CLI/Error.hpp"
#include "CLI/Option.hpp"
#include "absl/status/statusor.h"

namespace convserve::cli {

// An option whose text `parse` turns into `target`. What it refuses is a usage error that names the
// option.
template <typename Target, typename Value>
CLI::Option* AddParsedOption(CLI::App& app, const std::string& name, Target& target,
                             absl::StatusOr<Value> (*parse)(std::string_view),
                             const std::string& help) {
  return app.add_option_function<std::string>(
      name,
      [name, &target, parse](const std::string& text) {
        absl::StatusOr<Value> value = parse(text);
        if (!value.ok()) throw CLI::ValidationError(name, std::string(value.status().message()));
        target = *std::move(value);
      },
      help);
}

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_OPTION_H_
