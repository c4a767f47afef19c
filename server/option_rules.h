// What the options of a server may be, and what they are where nothing was said.
#ifndef CONVSERVE_SERVER_OPTION_RULES_H_
#define CONVSERVE_SERVER_OPTION_RULES_H_

#include "absl/status/status.h"
#include "server/server.h"

namespace convserve {

// INVALID_ARGUMENT, naming the option, where a value is out of its range.
absl::Status CheckRanges(const ServerOptions& options);

// Fills in what was left to the machine.
ServerOptions Resolve(ServerOptions options);

// Whether the machine and the process have what was asked for, of resolved options.
absl::Status CheckConnections(const ServerOptions& options);

}  // namespace convserve

#endif  // CONVSERVE_SERVER_OPTION_RULES_H_
