#include <memory>
#include <string>
#include <string_view>

#include "client/cli/command.h"
#include "client/cli/exit_code.h"
#include "client/cli/render.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

std::string_view NameOf(ServingStatus status) {
  switch (status) {
    case ServingStatus::kServing:
      return "SERVING";
    case ServingStatus::kNotServing:
      return "NOT_SERVING";
    default:
      return "UNKNOWN";
  }
}

struct HealthOptions {
  std::string service;
  bool wait = false;
};

absl::Status Run(const HealthOptions& options, Session& session) {
  absl::StatusOr<ServingStatus> status =
      session.Run([&](const ConvolutionClient& client, CallOptions call) {
        call.wait_for_ready = options.wait;
        return client.Health(options.service, call);
      });
  if (!status.ok()) return status.status();
  if (session.options().json) {
    session.out() << fmt::format("{{\"status\": \"{}\"}}\n", NameOf(*status));
  } else {
    session.out() << NameOf(*status) << '\n';
  }
  if (*status == ServingStatus::kServing) return absl::OkStatus();
  return WithExitCode(ExitCode::kUnreachable, absl::UnavailableError("the server does not serve"));
}

Action Declare(CLI::App& app) {
  auto options = std::make_shared<HealthOptions>();
  app.add_option("--service", options->service, "one service of the server, by its full name")
      ->type_name("NAME");
  app.add_flag("--wait", options->wait, "wait for a server to come up, until --timeout");
  return [options](Session& session) { return Run(*options, session); };
}

}  // namespace

Command HealthCommand() {
  return {
      .name = "health",
      .summary = "Whether the server serves: exit code 0 when it does",
      .examples = {"convctl --embedded health", "convctl --embedded --timeout 30 health --wait"},
      .declare = Declare};
}

}  // namespace convserve::cli
