// The split parser against protobuf's, on any bytes in any pieces.
//
//   input = which message (1 byte)  how long the pieces are (1 byte)  the message
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "convserve/v1/convolution.pb.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/support/differential.h"
#include "tests/support/pieces.h"

namespace convserve {
namespace {

template <typename Message>
void Compare(std::string_view bytes, std::size_t piece) {
  std::vector<std::size_t> cuts;
  for (std::size_t cut = piece; piece > 0 && cut < bytes.size(); cut += piece) cuts.push_back(cut);
  if (ReadSplit<Message>(InPieces(bytes, cuts)) != ReadWhole<Message>(bytes)) std::abort();
}

}  // namespace
}  // namespace convserve

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convserve;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t piece = data[1];
  switch (data[0] % 3) {
    case 0:
      Compare<v1::ConvRequest>(bytes, piece);
      break;
    case 1:
      Compare<v1::ConvTransposeRequest>(bytes, piece);
      break;
    default:
      Compare<v1::ConvResponse>(bytes, piece);
  }
  return 0;
}
