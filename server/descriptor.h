// Owns a file descriptor.
#ifndef CONVSERVE_SERVER_DESCRIPTOR_H_
#define CONVSERVE_SERVER_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace convserve {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  ~Descriptor() { Reset(); }

  // Negative: none.
  int get() const { return fd_; }

  int Release() { return std::exchange(fd_, -1); }

  void Reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_DESCRIPTOR_H_
