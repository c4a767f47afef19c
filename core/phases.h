// Both operations as one: for each axis, the outputs that meet the same taps at a constant
// distance.
//
// A Conv has one phase an axis. A ConvTranspose has one for every residue of (output + padding)
// modulo the stride that some tap reaches: output o meets tap t of input i where o + pl = i*s +
// t*d, so within one residue consecutive outputs meet consecutive inputs at the same taps, and the
// transposed convolution falls apart into small dense convolutions of stride 1 that write each
// output once. (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
// describes the equivalent zero-stuffed convolution; no zero is stuffed here.)
#ifndef CONVSERVE_CORE_PHASES_H_
#define CONVSERVE_CORE_PHASES_H_

#include <cstdint>
#include <vector>

#include "core/problem.h"

namespace convserve {

// Output `first_output + q*output_step` meets, at tap j, kernel element `first_kernel +
// j*kernel_step` and the input coordinate `first_input + q*input_step + j*tap_step`, which may lie
// in the padding. 0 <= q < outputs, 0 <= j < taps.
struct Phase {
  std::int64_t outputs = 0;
  std::int64_t first_output = 0;
  std::int64_t output_step = 1;
  std::int64_t taps = 0;
  std::int64_t first_kernel = 0;
  std::int64_t kernel_step = 1;
  std::int64_t first_input = 0;
  std::int64_t input_step = 1;
  std::int64_t tap_step = 1;

  std::int64_t Input(std::int64_t q, std::int64_t tap) const {
    return first_input + q * input_step + tap * tap_step;
  }
};

// Phases of an axis that have a tap; outputs in none of them receive no input.
std::int64_t PhaseCount(Operation operation, const Axis& axis);

// The phase number `index`. May have no outputs. With zero padding, taps that meet padding at every
// output are left out, possibly all of them.
Phase PhaseAt(Operation operation, const Axis& axis, PaddingMode mode, std::int64_t index);

// The stretches of a phase's outputs that meet the same taps within [0, input), each with these
// taps alone, possibly none.
std::vector<Phase> SplitByTaps(const Phase& phase, std::int64_t input);

// One stretch of taps that holds those of all these phases of an axis, and as many outputs as any
// of them.
Phase Union(const std::vector<Phase>& phases);

// Whether some output of the axis is in no phase.
bool HasUncoveredOutputs(Operation operation, const Axis& axis);

}  // namespace convserve

#endif  // CONVSERVE_CORE_PHASES_H_
