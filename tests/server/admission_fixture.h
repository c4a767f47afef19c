// The queue of requests, with a clock that a test moves by hand.
#ifndef CONVSERVE_TESTS_SERVER_ADMISSION_FIXTURE_H_
#define CONVSERVE_TESTS_SERVER_ADMISSION_FIXTURE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "proto/status.h"
#include "server/admission.h"

namespace convserve {

// Requests named by number, and what they were told.
class AdmissionTest : public ::testing::Test {
 protected:
  using Demand = Admission::Demand;
  using Lane = Admission::Lane;
  using Refusal = Admission::Refusal;

  explicit AdmissionTest(Admission::Limits limits = {.memory_bytes = 100,
                                                     .requests = 4,
                                                     .slots = 8})
      : admission_(limits, [this] { return now_; }) {}

  // No place may end while it waits.
  void TearDown() override {
    for (const auto& [name, place] : places_) admission_.Withdraw(*place);
  }

  absl::Status Enter(int name, std::int64_t message_bytes = 0) {
    places_[name] = std::make_unique<Admission::Place>(admission_);
    return admission_.Enter(*places_[name], message_bytes);
  }

  std::string Grow(int name, std::int64_t bytes) {
    return ReasonOf(admission_.Grow(*places_[name], bytes));
  }

  absl::StatusOr<std::optional<Lane>> Reserve(int name, const Demand& demand) {
    return admission_.Reserve(*places_[name], demand, [this, name](absl::StatusOr<Lane> lane) {
      if (lane.ok()) {
        granted_.push_back(name);
        lanes_[name] = *lane;
      } else {
        refused_[name] = lane.status();
      }
    });
  }

  // Enters and reserves: "granted", "waits", or why not.
  std::string Ask(int name, const Demand& demand) {
    if (const absl::Status status = Enter(name); !status.ok()) return ReasonOf(status);
    const auto lane = Reserve(name, demand);
    if (!lane.ok()) {
      last_refusal_ = lane.status();
      places_.erase(name);
      return ReasonOf(last_refusal_);
    }
    if (lane->has_value()) lanes_[name] = **lane;
    return lane->has_value() ? "granted" : "waits";
  }

  Demand Bytes(std::int64_t bytes) { return {.further_bytes = bytes}; }
  Demand Takes(std::chrono::milliseconds estimate) { return {.estimate = estimate}; }
  Demand TakesUntil(std::chrono::milliseconds estimate, std::chrono::milliseconds deadline) {
    return {.deadline = now_ + deadline, .estimate = estimate};
  }

  void Leave(int name) { places_.erase(name); }
  void Withdraw(int name) { admission_.Withdraw(*places_[name]); }
  Admission::Usage Now() { return admission_.usage(); }
  std::int64_t Count(Refusal refusal) { return Now().refusals[static_cast<std::size_t>(refusal)]; }

  Admission::Clock::time_point now_{std::chrono::seconds(1000)};
  Admission admission_;
  std::vector<int> granted_;
  std::map<int, absl::Status> refused_;
  std::map<int, Lane> lanes_;
  absl::Status last_refusal_;
  std::map<int, std::unique_ptr<Admission::Place>> places_;
};

}  // namespace convserve

#endif  // CONVSERVE_TESTS_SERVER_ADMISSION_FIXTURE_H_
