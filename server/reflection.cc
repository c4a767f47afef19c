#include "server/reflection.h"

#include <new>
#include <set>
#include <utility>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"

namespace convserve {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ErrorResponse;
using grpc::reflection::v1alpha::FileDescriptorResponse;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

// With all that it imports, each file once.
void Describe(const FileDescriptor& file, std::set<const FileDescriptor*>& seen,
              FileDescriptorResponse& files) {
  if (!seen.insert(&file).second) return;
  google::protobuf::FileDescriptorProto description;
  file.CopyTo(&description);
  description.SerializeToString(files.add_file_descriptor_proto());
  for (int i = 0; i < file.dependency_count(); ++i) Describe(*file.dependency(i), seen, files);
}

void NotFound(ServerReflectionResponse& response) {
  ErrorResponse& error = *response.mutable_error_response();
  error.set_error_code(grpc::StatusCode::NOT_FOUND);
  error.set_error_message("not found");
}

void AnswerFile(const FileDescriptor* file, ServerReflectionResponse& response) {
  if (file == nullptr) return NotFound(response);
  std::set<const FileDescriptor*> seen;
  Describe(*file, seen, *response.mutable_file_descriptor_response());
}

const FileDescriptor* FileOfExtension(const std::string& type, int number) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const auto* extended = pool.FindMessageTypeByName(type);
  const auto* extension =
      extended == nullptr ? nullptr : pool.FindExtensionByNumber(extended, number);
  return extension == nullptr ? nullptr : extension->file();
}

void AnswerExtensionsOf(const std::string& type, ServerReflectionResponse& response) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const auto* extended = pool.FindMessageTypeByName(type);
  if (extended == nullptr) return NotFound(response);
  std::vector<const google::protobuf::FieldDescriptor*> extensions;
  pool.FindAllExtensions(extended, &extensions);
  auto& numbers = *response.mutable_all_extension_numbers_response();
  numbers.set_base_type_name(type);
  for (const auto* extension : extensions) numbers.add_extension_number(extension->number());
}

ServerReflectionResponse AnswerTo(const ServerReflectionRequest& request,
                                  const std::vector<std::string>& services) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kFileByFilename:
      AnswerFile(pool.FindFileByName(request.file_by_filename()), response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      AnswerFile(pool.FindFileContainingSymbol(request.file_containing_symbol()), response);
      break;
    case ServerReflectionRequest::kFileContainingExtension: {
      const auto& wanted = request.file_containing_extension();
      AnswerFile(FileOfExtension(wanted.containing_type(), wanted.extension_number()), response);
      break;
    }
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      AnswerExtensionsOf(request.all_extension_numbers_of_type(), response);
      break;
    case ServerReflectionRequest::kListServices:
      for (const std::string& service : services) {
        response.mutable_list_services_response()->add_service()->set_name(service);
      }
      break;
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET: {
      ErrorResponse& error = *response.mutable_error_response();
      error.set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
      error.set_error_message("expected a message_request, got none");
    }
  }
  return response;
}

}  // namespace

// Reads and writes in turn, so that one of them is under way at any time and its end ends the call.
class Reflection::Stream final
    : public grpc::ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse> {
 public:
  explicit Stream(const std::vector<std::string>& services) : services_(services) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    try {
      response_ = AnswerTo(request_, services_);
    } catch (const std::bad_alloc&) {
      return Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, ""});
    }
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    StartRead(&request_);
  }

  void OnDone() override { delete this; }

 private:
  const std::vector<std::string>& services_;
  ServerReflectionRequest request_;
  ServerReflectionResponse response_;
};

Reflection::Reflection(std::vector<std::string> services) : services_(std::move(services)) {
  services_.emplace_back(grpc::reflection::v1alpha::ServerReflection::service_full_name());
}

grpc::ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse>*
Reflection::ServerReflectionInfo(grpc::CallbackServerContext* /*context*/) {
  return new (std::nothrow) Stream(services_);
}

}  // namespace convserve
