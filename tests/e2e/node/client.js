// All four calls from Node, with nothing but the .proto, @grpc/grpc-js and @grpc/proto-loader.
'use strict';

const assert = require('assert');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const [protoFolder] = process.argv.slice(2);
const definition = protoLoader.loadSync('convserve/v1/convolution.proto', {
  includeDirs: [protoFolder], keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true,
});
const {ConvolutionService} = grpc.loadPackageDefinition(definition).convserve.v1;
const bytes = 256 * 1024 * 1024;
const client = new ConvolutionService(process.env.CONVSERVE_ADDRESS, grpc.credentials.createInsecure(), {
  'grpc.max_receive_message_length': bytes, 'grpc.max_send_message_length': bytes,
});

function call(method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, {deadline: Date.now() + 30000}, (error, response) => {
      if (error) reject(error); else resolve(response);
    });
  });
}

const tensor = (shape, values) => ({
  data_type: 'DATA_TYPE_FLOAT32', shape, data: Buffer.from(Float32Array.from(values).buffer),
});
const valuesOf = ({data}) => {
  const copy = new Uint8Array(data);  // aligned, unlike a slice of the message
  return Array.from(new Float32Array(copy.buffer));
};
const range = (n, first = 0) => Array.from({length: n}, (_, i) => first + i);

async function main() {
  const conv = await call('Conv', {
    input: tensor([1, 1, 6, 6], range(36)),
    weight: tensor([1, 1, 2, 2], [1, 2, 0, 1]),
    parameters: {stride: [4]},
  });
  assert.deepStrictEqual(conv.output.shape, [1, 1, 2, 2]);
  assert.deepStrictEqual(valuesOf(conv.output), [9, 25, 105, 121]);

  const request = {
    input: tensor([1, 1, 4, 4], range(16).fill(1)),
    weight: tensor([1, 1, 4, 4], range(16, 1)),
    parameters: {stride: [2], padding: [1]},
  };
  const transposed = await call('ConvTranspose', request);
  assert.deepStrictEqual(transposed.output.shape, [1, 1, 8, 8]);
  assert.deepStrictEqual(valuesOf(transposed.output).slice(0, 8), [6, 12, 14, 12, 14, 12, 14, 7]);

  const description = await call('Describe', {
    input_shape: [1, 3, 224, 224], weight_shape: [64, 3, 7, 7],
    input_type: 'DATA_TYPE_FLOAT32', weight_type: 'DATA_TYPE_FLOAT32', conv: {stride: [2], padding: [3]},
  });
  assert.deepStrictEqual(description.output_shape, [1, 64, 112, 112]);

  const explanation = await call('Explain', {conv_transpose: request, output_index: [0, 0, 0, 1]});
  assert.strictEqual(explanation.value, 12);

  const refusal = await call('Conv', {
    input: tensor([1, 1, 2, 2], range(4)), weight: tensor([1, 1, 3, 3], range(9)),
  }).then(() => assert.fail('accepted a kernel larger than its input'), (error) => error);
  assert.strictEqual(refusal.code, grpc.status.INVALID_ARGUMENT);
  assert.match(refusal.details, /weight\.shape\[2\]/);

  console.log('conv, conv-transpose, describe and explain from Node: ok');
  client.close();
}

main().catch((error) => { console.error(error); process.exit(1); });
