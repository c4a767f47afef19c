// Every header that is installed is found and compiles.
#include "client/convolution_client.h"
#include "client/xtensor_api.h"
#include "core/aligned_buffer.h"
#include "core/convolve.h"
#include "core/data_type.h"
#include "core/describe.h"
#include "core/explain.h"
#include "core/limits.h"
#include "core/parameters.h"
#include "core/planner.h"
#include "core/problem.h"
#include "core/solve.h"
#include "core/tensor.h"
#include "core/violation.h"
#include "core/xtensor_api.h"
#include "proto/results.h"

int main() {}
