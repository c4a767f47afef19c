// The --draw option of describe and explain.
#ifndef CONVSERVE_CLIENT_CLI_DRAWING_H_
#define CONVSERVE_CLIENT_CLI_DRAWING_H_

#include <optional>
#include <string>
#include <string_view>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/session.h"
#include "client/explain/picture.h"

namespace convserve::cli {

enum class DrawingFormat { kSvg, kPage, kTerminal };

struct DrawingTarget {
  DrawingFormat format = DrawingFormat::kTerminal;
  std::string path;  // empty for the terminal
};

// FILE.svg, FILE.html or -. INVALID_ARGUMENT for anything else.
absl::StatusOr<DrawingTarget> ParseDrawingTarget(std::string_view text);

// Declares --draw; parsing fills `target`, which must live as long as `app`.
void AddDrawOption(CLI::App& app, std::optional<DrawingTarget>& target);

// A drawing on out beside --json is a usage error: to be found before anything is printed.
absl::Status CheckDrawing(const Session& session, const std::optional<DrawingTarget>& target);

// Draws to the target: a file, and a line about it on out (unless --json); or onto out.
absl::Status Draw(Session& session, const DrawingTarget& target, const DrawingRequest& request);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_DRAWING_H_
