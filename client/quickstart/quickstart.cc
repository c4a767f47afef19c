#include <iostream>
#include <vector>

#include "client/convolution_client.h"

int main(int argc, char** argv) {
  const convserve::ConvolutionClient client(argc > 1 ? argv[1] : "127.0.0.1:50051");
  const auto input = convserve::Tensor::Of<float>({1, 1, 2, 2}, std::vector<float>{1, 2, 3, 4});
  const auto weight = convserve::Tensor::Of<float>({1, 1, 2, 2}, std::vector<float>{1, 2, 0, 1});

  const auto result = client.ConvTranspose({input.view(), weight.view()}, {.stride = {4}});
  if (!result.ok()) {
    std::cerr << result.status().message() << "\n";
    return 1;
  }
  const convserve::Tensor& output = result->output;
  std::cout << convserve::ToString(output.shape()) << ", last element "
            << output.As<float>()[output.size() - 1] << "\n";
}
