// convctl as a function: the program is main.cc around it, and tests call it in their own process.
#ifndef CONVSERVE_CLIENT_CLI_CONVCTL_H_
#define CONVSERVE_CLIENT_CLI_CONVCTL_H_

#include <string>
#include <vector>

#include "client/cli/session.h"

namespace convserve::cli {

// Runs one command line, `arguments` without the program's name. Results go to streams.out; what
// went wrong goes to streams.err, one violation a line. Returns the exit code: 0 done, 2 wrong
// usage, 3 refused by validation or a limit, 4 server unreachable or out of time, 130 interrupted,
// 1 anything else. Throws nothing.
int RunConvctl(const std::vector<std::string>& arguments, const Streams& streams,
               const Surroundings& surroundings = {});

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_CONVCTL_H_
