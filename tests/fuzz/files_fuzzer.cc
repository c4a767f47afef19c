// Any bytes as a file that convctl is given: .npy, .npz, PNG, JPEG.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "client/cli/byte_reader.h"
#include "client/cli/image.h"
#include "client/cli/npy.h"
#include "client/cli/npz.h"
#include "tests/fuzz/fuzzer.h"

namespace convserve::cli {
namespace {

// libzip wants a path.
void ReadArchive(std::string_view bytes) {
  const int file = memfd_create("archive", 0);
  if (file < 0 || write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    std::abort();
  }
  (void)ReadNpz("/proc/self/fd/" + std::to_string(file), "");
  close(file);
}

void ReadAsPicture(std::string_view bytes) {
  // Few bytes may stand for a picture that takes longer than a fuzzer waits.
  constexpr std::int64_t kMostElements = std::int64_t{1} << 20;
  const auto tensor = ReadPicture(bytes, TensorLayout::kChannelsFirst);
  if (!tensor.ok() || tensor->size() > kMostElements) return;
  const auto again =
      EncodePicture(tensor->view(), TensorLayout::kChannelsFirst, PictureFormat::kPng);
  if (!again.ok()) std::abort();
}

}  // namespace
}  // namespace convserve::cli

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convserve::cli;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.starts_with("PK")) {
    ReadArchive(bytes);
  } else if (bytes.starts_with("\x93NUMPY")) {
    MemoryReader reader(bytes);
    (void)ReadNpy(reader);
  } else {
    ReadAsPicture(bytes);
  }
  return 0;
}
