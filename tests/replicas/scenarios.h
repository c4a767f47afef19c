// What replicas go through while they are called.
#ifndef CONVSERVE_TESTS_REPLICAS_SCENARIOS_H_
#define CONVSERVE_TESTS_REPLICAS_SCENARIOS_H_

#include <string>
#include <vector>

#include "client/convolution_client.h"
#include "tests/replicas/fleet.h"

namespace convserve {

// Who spreads the calls.
enum class By { kClient, kProxy };

std::string Target(const Fleet& fleet, By by);
std::vector<int> All(const Fleet& fleet);

// Calls of one client spread evenly, within 5 %.
void SpreadsEvenly(const Fleet& fleet, By by);

// A replica is killed: no call fails, and when it is back it has its share within 3 s.
void SurvivesAKill(Fleet& fleet, By by);

// Each replica in turn is told to stop, and started again: no call fails, with retries or without.
void SurvivesARollingRestart(Fleet& fleet, By by);

}  // namespace convserve

#endif  // CONVSERVE_TESTS_REPLICAS_SCENARIOS_H_
