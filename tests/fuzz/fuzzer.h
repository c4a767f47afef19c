// What a fuzz target implements; libFuzzer or replay_main.cc calls it.
#ifndef CONVSERVE_TESTS_FUZZ_FUZZER_H_
#define CONVSERVE_TESTS_FUZZ_FUZZER_H_

#include <cstddef>
#include <cstdint>

// Ends the process where the program misbehaves on these bytes; returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

#endif  // CONVSERVE_TESTS_FUZZ_FUZZER_H_
