import QuantCore
import Testing

@Test(arguments: [
  "int8-token", "int8-tensor", "int8-tensor-dynamic", "int8-g128", "int8-token-asym", "int8-tensor-asym", "int4-g32-asym", "fp8-token",
  "fp8-tensor", "fp8-g128", "int8-channel", "int4-channel-asym", "fp8-channel",
]) func activationNamesHaveOneSpelling(_ name: String) throws {
  let scheme = try #require(ActivationScheme(named: name))
  #expect(scheme.name == name && scheme.isStatic == (name.contains("channel") || name.contains("tensor") && !name.contains("dynamic")))
  #expect(scheme.isSymmetric != name.hasSuffix("asym"))
}

@Test(arguments: [
  "", "asym", "int8", "int8-asym", "int8-g", "int8-g0", "int8-g032", "int8-tensor-static", "fp8-token-asym", "int8-token-asym-asym",
])
func otherNamesAreNoActivationSchemes(_ name: String) { #expect(ActivationScheme(named: name) == nil) }

@Test func activationParametersFollowTheRuleOfTheFormat() throws {
  // A quotient in bfloat16, as PyTorch gives it: 3 / 127.5 = 0.02353 -> 0x3cc1.
  #expect(ActivationScheme.int8Static.parameters(minimum: -3, maximum: 1, in: .bf16).scale == Float(bitPattern: 0x3cc1_0000))
  #expect(ActivationScheme.fp8Static.parameters(minimum: 0.5, maximum: 448, in: .bf16) == (1, 0))
  let asymmetric = try #require(ActivationScheme(named: "int8-tensor-asym"))
  #expect(asymmetric.parameters(minimum: -55, maximum: 200, in: .f32) == (1, -73))
  // The range always includes 0.
  #expect(asymmetric.parameters(minimum: 100, maximum: 255, in: .f32) == (1, -128))
  // A site that is always 0 still has a scale.
  #expect(asymmetric.parameters(minimum: 0, maximum: 0, in: .bf16) == (0x1p-7, 0))
  #expect(ActivationScheme.fp8Static.parameters(minimum: 0, maximum: 0, in: .f16) == (0x1p-10, 0))
}
