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

absl::Status Run(const std::string& service, Session& session) {
  absl::StatusOr<ServingStatus> status =
      session.Run([&](const ConvolutionClient& client, const CallOptions& call) {
        return client.Health(service, call);
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
  auto service = std::make_shared<std::string>();
  app.add_option("--service", *service, "one service of the server, by its full name")
      ->type_name("NAME");
  return [service](Session& session) { return Run(*service, session); };
}

}  // namespace

Command HealthCommand() {
  return {.name = "health",
          .summary = "Whether the server serves: exit code 0 when it does",
          .examples = {"convctl --embedded health"},
          .declare = Declare};
}

}  // namespace convserve::cli
