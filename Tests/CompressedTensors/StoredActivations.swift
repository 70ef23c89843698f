import CompressedTensors
import QuantCore
import TestSupport
import Testing

private func number(_ name: String, _ value: Float) -> CheckpointTensor {
  let bits = UInt16(value.bitPattern >> 16)
  return CheckpointTensor(name: name, shape: [1], storage: PlainStorage(.bf16, ByteView([UInt8(bits & 0xff), UInt8(bits >> 8)])))
}

private func byte(_ name: String, _ value: Int8) -> CheckpointTensor {
  CheckpointTensor(name: name, shape: [1], storage: PlainStorage(.i8, ByteView([UInt8(bitPattern: value)])))
}

/// An int-quantized layer of 4 × 8 weights.
private func layer(_ name: String) -> [CheckpointTensor] {
  [
    CheckpointTensor(name: name + ".weight", shape: [4, 8], storage: PlainStorage(.i8, ByteView([UInt8](repeating: 1, count: 32)))),
    CheckpointTensor(
      name: name + ".weight_scale", shape: [4, 1], storage: PlainStorage(.bf16, ByteView([UInt8](repeating: 60, count: 8)))),
  ]
}

private func configuration(_ activations: ActivationScheme?) throws -> JSON {
  let scheme = try #require(IntegerScheme(bits: 8, groupLength: nil, isSymmetric: true, modelType: .bf16))
  let module = QuantizedModule(name: "model.layers.3.a.x", scheme: scheme, activations: activations)
  return try #require(try IntQuantized().configuration(modules: [module], unquantized: []))
}

@Test(arguments: ["int8-token", "int8-tensor-dynamic", "int8-g4", "int8-token-asym", "int4-token", "fp8-token"])
func whatIsWrittenAboutInputsIsReadAgain(_ name: String) throws {
  let scheme = try #require(ActivationScheme(named: name))
  let record = try IntQuantized().activations(configuration: configuration(scheme), stored: layer("model.layers.3.a.x"))
  #expect(record == ActivationRecord(inputs: ["model.layers.3.a.x": .init(scheme)]))
}

@Test func storedScalesOfInputsAndCachesAreRead() throws {
  let scheme = try #require(ActivationScheme(named: "int8-tensor-asym"))
  let packing = IntQuantized()
  let json = packing.configuration(try configuration(scheme), addingCache: .fp8Static)
  let cache = [number("model.layers.3.a.k_scale", 0.25), number("model.layers.3.a.v_scale", 2)]
  let stored =
    layer("model.layers.3.a.x") + cache + [
      number("model.layers.3.a.x.input_scale", 0.5), byte("model.layers.3.a.x.input_zero_point", -5),
    ]
  let expected = ActivationRecord(
    inputs: ["model.layers.3.a.x": .init(scheme, scale: 0.5, zeroPoint: -5)], caches: [3: .init(keys: 0.25, values: 2)])
  #expect(try packing.activations(configuration: json, stored: stored) == expected)
  #expect(try packing.unpack(configuration: json, stored: stored)?.map(\.name) == ["model.layers.3.a.x.weight"])
  // Without `kv_cache_scheme`, clients ignore the cache's scales.
  #expect(try packing.activations(configuration: configuration(scheme), stored: stored).caches.isEmpty)
}

@Test(arguments: ["fp8-tensor", "int8-tensor", "int4-tensor"]) func cachesOfOneScaleAreReadAgain(_ name: String) throws {
  let scheme = try #require(ActivationScheme(named: name))
  let packing = IntQuantized()
  let json = packing.configuration(try configuration(nil), addingCache: scheme)
  let parts = try #require(packing.cacheParts(attention: "model.layers.3.a", scheme: scheme, modelType: .bf16))
  #expect(parts.keys.name == "model.layers.3.a.k_scale" && parts.values.name == "model.layers.3.a.v_scale")
  let stored = layer("model.layers.3.a.x") + [number(parts.keys.name, 0.25), number(parts.values.name, 2)]
  let record = try packing.activations(configuration: json, stored: stored)
  #expect(record.caches == [3: .init(keys: 0.25, values: 2, scheme: scheme)])
}

@Test(arguments: ["int8-token", "int8-channel", "int8-tensor-asym", "int8-g32"])
func cachesOfOtherScalesHaveNoPlace(_ name: String) throws {
  let scheme = try #require(ActivationScheme(named: name))
  #expect(IntQuantized().cacheParts(attention: "model.layers.3.a", scheme: scheme, modelType: .bf16) == nil)
}

@Test func brokenStoredScalesAreRefusedByName() throws {
  let json = try configuration(ActivationScheme(named: "int8-tensor-asym"))
  let name = "model.layers.3.a.x.input_scale"
  let zero = "model.layers.3.a.x.input_zero_point"
  func wide(_ shape: [Int]) -> CheckpointTensor {
    CheckpointTensor(name: name, shape: shape, storage: PlainStorage(.bf16, ByteView([0, 1])))
  }
  for (bad, tensors) in [
    (name, []), (name, [number(name, 0)]), (name, [number(name, -1)]), (name, [number(name, .nan)]), (name, [byte(name, 1)]),
    (name, [wide([2])]), (name, [wide([Int.max, Int.max])]), (zero, [number(name, 1), number(zero, 1)]),
  ] {
    let failure = #expect(throws: Failure.self) {
      try IntQuantized().activations(configuration: json, stored: layer("model.layers.3.a.x") + tensors)
    }
    #expect(failure?.tensor == bad)
  }
}

@Test func packingsHoldTheInputsThatTheirClientsCompute() throws {
  let four = try #require(IntegerScheme(bits: 4, groupLength: 32, isSymmetric: true, modelType: .bf16)).grid
  let eight = try #require(IntegerScheme(bits: 8, groupLength: nil, isSymmetric: true, modelType: .bf16)).grid
  let float = try #require(Float8Scheme(.e4m3, level: .channel, modelType: .bf16)).grid
  let (packed, bytes, floats) = (PackQuantized(), IntQuantized(), FloatQuantized())
  #expect(packed.holds(four, activations: nil) && !packed.holds(four, activations: .int8Token))
  #expect(bytes.holds(four, activations: .int8Token) && bytes.holds(four, activations: .fp8Token))
  #expect(bytes.holds(eight, activations: .int8Static) && !bytes.holds(eight, activations: .fp8Token))
  #expect(floats.holds(float, activations: .fp8Static) && !floats.holds(float, activations: .int8Token))
  #expect(!PlainPacking().holds(FloatScheme.bf16.grid, inputs: .int8Token))
}

@Test func goldenFoldersSayHowTheyRound() throws {
  let json = try #require(try JSON.load(Golden.cut("ct-sq-w8a8-static") + "/config.json")["quantization_config"])
  let module = "model.layers.0.mlp.down_proj"
  // The values of the folder's own tensors.
  let stored = layer(module) + [number(module + ".input_scale", 0.0189208984375), byte(module + ".input_zero_point", -5)]
  let input = try IntQuantized().activations(configuration: json, stored: stored).inputs[module]
  #expect(input?.scheme.name == "int8-tensor-asym" && input?.scale == 0.0189208984375 && input?.zeroPoint == -5)
}
