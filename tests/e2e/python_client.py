#!/usr/bin/python3
"""All four calls from Python, with nothing but what protoc and grpc_python_plugin generate."""

import os

import grpc
import numpy as np

from convserve.v1 import convolution_pb2 as pb
from convserve.v1.convolution_pb2_grpc import ConvolutionServiceStub


def tensor(array):
    array = np.ascontiguousarray(array, dtype="<f4")
    return pb.Tensor(data_type=pb.DATA_TYPE_FLOAT32, shape=array.shape, data=array.tobytes())


def array(message):
    return np.frombuffer(message.data, dtype="<f4").reshape(message.shape)


megabytes = 1 << 20
channel = grpc.insecure_channel(os.environ["CONVSERVE_ADDRESS"], options=[
    ("grpc.max_receive_message_length", 256 * megabytes), ("grpc.max_send_message_length", 256 * megabytes)])
stub = ConvolutionServiceStub(channel)

# Conv
image = np.arange(36).reshape(1, 1, 6, 6)
kernel = np.array([[[[1, 2], [0, 1]]]])
request = pb.ConvRequest(input=tensor(image), weight=tensor(kernel), parameters=pb.ConvParameters(stride=[4]))
response = stub.Conv(request, timeout=30)
assert array(response.output).tolist() == [[[[9, 25], [105, 121]]]], response
assert response.execution.algorithm and response.execution.instruction_set, response

# A tensor that is larger than gRPC's default limit of 4 MiB, there and back.
large = np.random.RandomState(1).rand(1, 1, 1200, 1200).astype(np.float32)
response = stub.Conv(pb.ConvRequest(input=tensor(large), weight=tensor(np.ones((1, 1, 1, 1)))), timeout=30)
assert (array(response.output) == large).all()

# ConvTranspose
request = pb.ConvTransposeRequest(input=tensor(np.ones((1, 1, 4, 4))), weight=tensor(np.arange(1, 17).reshape(1, 1, 4, 4)),
                                  parameters=pb.ConvTransposeParameters(stride=[2], padding=[1]))
output = array(stub.ConvTranspose(request, timeout=30).output)
assert output.shape == (1, 1, 8, 8) and output[0, 0, 0].tolist() == [6, 12, 14, 12, 14, 12, 14, 7], output

# Describe
description = stub.Describe(pb.DescribeRequest(
    input_shape=[1, 3, 224, 224], weight_shape=[64, 3, 7, 7], input_type=pb.DATA_TYPE_FLOAT32,
    weight_type=pb.DATA_TYPE_FLOAT32, conv=pb.ConvParameters(stride=[2], padding=[3])), timeout=30)
assert list(description.output_shape) == [1, 64, 112, 112], description
assert description.axes[0].restoring_output_padding == 1, description

# Explain
explanation = stub.Explain(pb.ExplainRequest(conv_transpose=request, output_index=[0, 0, 0, 1]), timeout=30)
assert explanation.value == 12 and sorted(c.weight_value for c in explanation.contributions) == [5, 7], explanation

# A refusal names the field.
try:
    stub.Conv(pb.ConvRequest(input=tensor(image), weight=tensor(np.ones((1, 2, 3, 3)))), timeout=30)
    raise AssertionError("accepted a weight of two channels for an input of one")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
    assert "weight.shape[1]" in error.details(), error

print("conv, conv-transpose, describe and explain from Python: ok")
