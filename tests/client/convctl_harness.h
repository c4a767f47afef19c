// Runs command lines of convctl inside the test.
#ifndef CONVSERVE_TESTS_CLIENT_CONVCTL_HARNESS_H_
#define CONVSERVE_TESTS_CLIENT_CONVCTL_HARNESS_H_

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "client/cli/convctl.h"
#include "gtest/gtest.h"

namespace convserve::testing {

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;

  nlohmann::json json() const {
    nlohmann::json parsed = nlohmann::json::parse(out, nullptr, /*allow_exceptions=*/false);
    EXPECT_FALSE(parsed.is_discarded()) << out << err;
    return parsed;
  }
};

inline std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << "exit code " << outcome.exit_code << "\n" << outcome.out << outcome.err;
}

inline Outcome Convctl(const std::vector<std::string>& arguments, const std::string& input = "",
                       const cli::Surroundings& surroundings = {}) {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  const int exit_code = cli::RunConvctl(arguments, {in, out, err}, surroundings);
  return {exit_code, out.str(), err.str()};
}

// With the server inside the process.
inline Outcome Embedded(std::vector<std::string> arguments, const std::string& input = "") {
  arguments.insert(arguments.begin(), "--embedded");
  return Convctl(arguments, input);
}

// Sets an environment variable while it lives.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);
  }
  ~Environment() { unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_CLIENT_CONVCTL_HARNESS_H_
