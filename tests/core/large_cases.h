// Problems that are not small, for each algorithm that has kinds of its own.
#ifndef CONVSERVE_TESTS_CORE_LARGE_CASES_H_
#define CONVSERVE_TESTS_CORE_LARGE_CASES_H_

#include <vector>

#include "tests/core/layer_case.h"

namespace convserve::testing {

// Each is computed by the algorithm that it names: of many channels or filters, of one a group, and
// channels-last ones of both kinds.
const std::vector<LayerCase>& DenseCases();
const std::vector<LayerCase>& SingleChannelCases();
const std::vector<LayerCase>& ChannelsLastCases();

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_CORE_LARGE_CASES_H_
