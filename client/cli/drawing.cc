#include "client/cli/drawing.h"

#include "client/cli/exit_code.h"
#include "client/cli/file_writer.h"
#include "client/cli/option.h"
#include "client/cli/text.h"
#include "client/explain/page.h"
#include "client/explain/svg.h"
#include "client/explain/terminal.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

absl::StatusOr<std::string> Drawn(DrawingFormat format, const DrawingRequest& request) {
  switch (format) {
    case DrawingFormat::kSvg:
      return DrawSvg(request);
    case DrawingFormat::kPage:
      return DrawPage(request);
    case DrawingFormat::kTerminal:
      break;
  }
  return DrawTerminal(request);
}

}  // namespace

absl::StatusOr<DrawingTarget> ParseDrawingTarget(std::string_view text) {
  if (text == "-") return DrawingTarget{DrawingFormat::kTerminal, ""};
  if (text.ends_with(".svg")) return DrawingTarget{DrawingFormat::kSvg, std::string(text)};
  if (text.ends_with(".html") || text.ends_with(".htm")) {
    return DrawingTarget{DrawingFormat::kPage, std::string(text)};
  }
  return absl::InvalidArgumentError(fmt::format(
      "expected a file ending in .svg or .html, or - for the terminal, got {}", Quoted(text)));
}

void AddDrawOption(CLI::App& app, std::optional<DrawingTarget>& target) {
  AddParsedOption(app, "--draw", target, ParseDrawingTarget,
                  "draw it: a picture, an interactive page, or here in characters")
      ->type_name("FILE.svg|FILE.html|-");
}

absl::Status CheckDrawing(const Session& session, const std::optional<DrawingTarget>& target) {
  if (!target || target->format != DrawingFormat::kTerminal || !session.options().json) {
    return absl::OkStatus();
  }
  return UsageError("--draw - does not go with --json; name a file");
}

absl::Status Draw(Session& session, const DrawingTarget& target, const DrawingRequest& request) {
  const bool on_out = target.format == DrawingFormat::kTerminal;
  const absl::StatusOr<std::string> drawing = Drawn(target.format, request);
  if (!drawing.ok()) return drawing.status();
  if (on_out) {
    session.out() << '\n' << *drawing;
    return absl::OkStatus();
  }
  const absl::Status status = WriteFile(target.path, {*drawing});
  if (!status.ok()) {
    return WithExitCode(ExitCode::kOther, About("--draw: " + target.path, status));
  }
  if (!session.options().json) session.out() << "drawn to " << Printable(target.path) << '\n';
  return absl::OkStatus();
}

}  // namespace convserve::cli
