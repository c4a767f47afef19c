#include <cstddef>
#include <future>
#include <iostream>
#include <vector>

#include "client/xtensor_api.h"

// Several pictures under way at a time, over two connections.
int main(int argc, char** argv) {
  using convserve::xt_api::View;
  const convserve::ConvolutionClient client(argc > 1 ? argv[1] : "127.0.0.1:50051",
                                            {.connections = 2});
  const xt::xarray<float> kernel = xt::ones<float>({1, 1, 3, 3});
  std::vector<xt::xarray<float>> pictures;
  pictures.reserve(4);
  for (int i = 1; i <= 4; ++i) pictures.push_back(i * xt::ones<float>({1, 1, 64, 64}));

  std::stop_source stop;  // stop.request_stop() would cancel them all
  std::vector<std::future<absl::StatusOr<convserve::ConvResult>>> results;
  for (const xt::xarray<float>& picture : pictures) {
    results.push_back(client.ConvAsync(
        {View(picture), View(kernel), {}}, {.stride = {2}},
        {.timeout = std::chrono::seconds(30), .stop = stop.get_token(), .wait_for_ready = true}));
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    const absl::StatusOr<convserve::ConvResult> result = results[i].get();
    if (!result.ok()) {
      std::cerr << result.status() << '\n';
      return 1;
    }
    const auto output = convserve::xt_api::ToXarray<float>(result->output);
    std::cout << "picture " << i << ": " << output.shape(2) << " x " << output.shape(3) << " of "
              << output(0, 0, 0, 0) << '\n';
  }
}
