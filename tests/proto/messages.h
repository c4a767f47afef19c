// The messages that the converters' tests speak of.
#ifndef CONVSERVE_TESTS_PROTO_MESSAGES_H_
#define CONVSERVE_TESTS_PROTO_MESSAGES_H_

#include <string>
#include <vector>

#include "convserve/v1/convolution.pb.h"
#include "core/problem.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace convserve {

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

template <typename Message>
bool Equals(const Message& left, const Message& right) {
  return google::protobuf::util::MessageDifferencer::Equals(left, right);
}

// A 2x2 picture under a 1x1 kernel, as a person would type it.
inline v1::ConvRequest Typed() {
  return Parse<v1::ConvRequest>(R"pb(
    input {
      data_type: DATA_TYPE_FLOAT32
      shape: [ 1, 1, 2, 2 ]
      values: [ 1, 2, 3, 4 ]
    }
    weight {
      data_type: DATA_TYPE_FLOAT32
      shape: [ 1, 1, 1, 1 ]
      values: 2
    }
  )pb");
}

inline std::vector<std::string> RefusedFields(const absl::StatusOr<Problem>& problem) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : ViolationsOf(problem.status())) {
    fields.push_back(violation.field);
  }
  return fields;
}

}  // namespace convserve

#endif  // CONVSERVE_TESTS_PROTO_MESSAGES_H_
