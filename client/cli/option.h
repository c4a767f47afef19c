// Options whose text has a syntax of its own.
#ifndef CONVSERVE_CLIENT_CLI_OPTION_H_
#define CONVSERVE_CLIENT_CLI_OPTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "CLI/App.hpp"
#include "CLI/Error.hpp"
#include "CLI/Option.hpp"
#include "absl/status/statusor.h"
#include "client/cli/text.h"
#include "fmt/format.h"

namespace convserve::cli {

// An option whose text `parse` turns into `target`. What it refuses is a usage error that names the
// option.
template <typename Target, typename Parse>
CLI::Option* AddParsedOption(CLI::App& app, const std::string& name, Target& target, Parse parse,
                             const std::string& help) {
  return app.add_option_function<std::string>(
      name,
      [name, &target, parse](const std::string& text) {
        auto value = parse(text);
        if (!value.ok()) throw CLI::ValidationError(name, std::string(value.status().message()));
        target = *std::move(value);
      },
      help);
}

// An option that is a decimal whole number from `least` to `most`: CLI11 itself reads 010 as 8 and
// cuts what is too large.
template <typename Integer>
CLI::Option* AddIntegerOption(CLI::App& app, const std::string& name, Integer& target,
                              Integer least, Integer most, const std::string& help) {
  const auto parse = [least, most](std::string_view text) -> absl::StatusOr<Integer> {
    const std::optional<std::int64_t> value = ParseInteger(text);
    if (value && *value >= least && *value <= most) return static_cast<Integer>(*value);
    return absl::InvalidArgumentError(
        fmt::format("expected a whole number from {} to {}, got {}", least, most, Quoted(text)));
  };
  return AddParsedOption(app, name, target, parse, help)->type_name("N");
}

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_OPTION_H_
