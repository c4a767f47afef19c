#include "client/cli/convctl.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "client/cli/argument_syntax.h"
#include "client/cli/command.h"
#include "client/cli/exit_code.h"
#include "client/cli/option.h"
#include "client/cli/text.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

constexpr char kFooter[] =
    "S, D, O, Z   one number, or one an axis: 2 or 2,1\n"
    "P            0 | 1,2 | 0,1,2,3 (beginnings, then ends) | valid | same | same-upper | "
    "same-lower\n"
    "X, W, B      FILE.npy | FILE.npz:NAME | picture.png | picture.jpg | '[[1,2],[3,4]]' | -\n"
    "W            also box:K | gaussian:K[:SIGMA] | sharpen | unsharp | sobel-x | sobel-y |\n"
    "             laplacian | bilinear:F (conv-transpose), on each channel of a picture\n"
    "\n"
    "Exit code: 0 done, 2 wrong usage, 3 refused by validation, 4 server unreachable or out of "
    "time,\n"
    "130 interrupted, 1 anything else.\n";

struct Declared {
  const Command* command;
  CLI::App* app;
  Action action;
};

std::string FooterOf(const Command& command) {
  std::string text = command.notes.empty() ? "" : command.notes + "\n\n";
  text += command.examples.size() == 1 ? "Example:" : "Examples:";
  for (const std::string& example : command.examples) text += "\n  " + example;
  return text +
         "\n\nconvctl --help shows the options of all commands: --server, --embedded, --timeout, "
         "--json.\n";
}

void AddGlobalOptions(CLI::App& app, GlobalOptions& options) {
  app.add_option("--server", options.server,
                 "address of the server, host:port or unix:/path; default " + options.server)
      ->type_name("ADDRESS")
      ->envname("CONVSERVE_SERVER");
  app.add_flag("--embedded", options.embedded, "run the server inside this process");
  AddParsedOption(app, "--timeout", options.timeout, ParseTimeout,
                  "how long to wait, such as 30 (seconds) or 500ms; default 60")
      ->type_name("TIME")
      ->envname("CONVSERVE_TIMEOUT");
  app.add_flag("--json", options.json, "print JSON, for programs");
  AddSecurityOptions(app, options.security);
}

// The innermost command that was typed.
const CLI::App* Innermost(const CLI::App& app) {
  const std::vector<CLI::App*> typed = app.get_subcommands();
  return typed.empty() ? &app : Innermost(*typed.front());
}

std::string HelpOf(const CLI::App& app) {
  std::string before;
  for (const CLI::App* level = app.get_parent(); level != nullptr; level = level->get_parent()) {
    before = before.empty() ? level->get_name() : fmt::format("{} {}", level->get_name(), before);
  }
  return app.help(before, CLI::AppFormatMode::Normal);
}

// All option names and commands that would have been understood where the command line stands.
std::vector<std::string> Understood(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* level = Innermost(app); level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  const auto any = [](const CLI::App*) { return true; };
  for (const CLI::App* command : Innermost(app)->get_subcommands(any)) {
    names.push_back(command->get_name());
  }
  return names;
}

absl::Status NotUnderstood(const CLI::App& app, std::string_view argument) {
  const std::string_view name = argument.substr(0, argument.find('='));
  const std::vector<std::string> understood = Understood(app);
  const std::vector<std::string_view> candidates(understood.begin(), understood.end());
  const std::string_view nearest = Nearest(name, candidates);
  if (!nearest.empty()) {
    return UsageError(
        fmt::format("{} is not understood (did you mean {}?)", Quoted(argument), nearest));
  }
  // Options of conv and conv-transpose right behind explain, say.
  const CLI::App& command = *Innermost(app);
  const bool needs_another =
      &command != &app && !command.get_subcommands([](const CLI::App*) { return true; }).empty();
  return UsageError(fmt::format(
      "{} is not understood{}; see --help", Quoted(argument),
      needs_another ? fmt::format(" without conv or conv-transpose behind {}", command.get_name())
                    : ""));
}

// CLI11 gives an option with nothing behind its equals sign the next argument.
absl::Status CheckValues(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument.starts_with("--") && argument.find('=') + 1 == argument.size()) {
      return UsageError(fmt::format("{}: expected a value behind the =, got nothing",
                                    argument.substr(0, argument.size() - 1)));
    }
  }
  return absl::OkStatus();
}

// What `error` says of how often an option was given.
std::string CountMistake(const CLI::ArgumentMismatch& error,
                         const std::vector<std::string>& arguments) {
  const std::string text = error.what();
  const std::string name = text.substr(0, text.find(':'));
  const auto times = std::count_if(
      arguments.begin(), arguments.end(),
      [&](const std::string& argument) { return argument.substr(0, argument.find('=')) == name; });
  return times > 1 ? fmt::format("{}: expected once, got {} of them", name, times)
                   : fmt::format("{}: expected a value behind it, got nothing", name);
}

absl::Status CheckOneCommand(const CLI::App& app) {
  const std::vector<CLI::App*> typed = app.get_subcommands();
  if (typed.empty()) return absl::OkStatus();
  if (typed.size() == 1) return CheckOneCommand(*typed.front());
  return UsageError(fmt::format("{} and {} are two commands: expected one", typed[0]->get_name(),
                                typed[1]->get_name()));
}

absl::Status Parse(CLI::App& app, const std::vector<std::string>& arguments) {
  if (absl::Status status = CheckValues(arguments); !status.ok()) return status;
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::Success&) {
    throw;  // help or version
  } catch (const CLI::ArgumentMismatch& error) {
    return UsageError(CountMistake(error, arguments));
  } catch (const CLI::ConversionError& error) {
    // Only of a flag, or of its variable: what has a value is read here. "Could not convert: --x =
    // y".
    const std::string text = error.what();
    return UsageError(text.substr(std::min(text.find("--"), text.size())) +
                      ": expected true or false");
  } catch (const CLI::ParseError& error) {
    // What the second command lacks is not the point.
    absl::Status status = CheckOneCommand(app);
    return status.ok() ? UsageError(error.what()) : status;
  }
  if (absl::Status status = CheckOneCommand(app); !status.ok()) return status;
  const std::vector<std::string> rest = app.remaining(true);
  if (!rest.empty()) return NotUnderstood(app, rest.front());
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>& arguments, Session& session) {
  CLI::App app("Convolutions by a convserve server", "convctl");
  app.set_help_flag("--help,-h", "print this and exit");
  app.allow_extras();
  app.footer(kFooter);
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.get_formatter()->label("Subcommands", "Commands");
  AddGlobalOptions(app, session.options());
  app.set_version_flag("--version", "convctl " CONVSERVE_VERSION, "print the version and exit");
  std::vector<Declared> declared;
  for (const Command& command : Commands()) {
    CLI::App* const sub = app.add_subcommand(command.name, command.summary);
    sub->fallthrough();
    sub->footer(FooterOf(command));
    declared.push_back({&command, sub, command.declare(*sub)});
  }
  try {
    absl::Status status = Parse(app, arguments);
    if (!status.ok()) return status;
  } catch (const CLI::CallForHelp&) {
    session.out() << HelpOf(*Innermost(app));
    return absl::OkStatus();
  } catch (const CLI::CallForVersion& version) {
    session.out() << version.what() << '\n';
    return absl::OkStatus();
  }
  // Beside --embedded an address from the environment does not count; one that was typed is a
  // contradiction.
  const bool server_typed =
      std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
        return argument == "--server" || argument.starts_with("--server=");
      });
  if (session.options().embedded && server_typed) {
    return UsageError("--server and --embedded exclude each other");
  }
  for (const Declared& entry : declared) {
    if (entry.app->parsed()) return entry.action(session);
  }
  return UsageError("a command is missing; see --help");
}

}  // namespace

int RunConvctl(const std::vector<std::string>& arguments, const Streams& streams,
               const Surroundings& surroundings) {
  absl::Status status;
  try {
    Session session(streams, surroundings);
    status = Run(arguments, session);
  } catch (const std::bad_alloc&) {
    status = WithExitCode(ExitCode::kOther, absl::ResourceExhaustedError("out of memory"));
  } catch (const std::exception& error) {
    status = absl::InternalError(error.what());
  }
  streams.out.flush();
  if (status.ok() && !streams.out) {
    status = absl::UnknownError("the output cannot be written");
  }
  if (!status.ok()) streams.err << Complaint(status) << std::flush;
  return static_cast<int>(ExitCodeOf(status));
}

}  // namespace convserve::cli
