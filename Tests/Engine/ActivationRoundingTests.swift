import QuantCore
import TestSupport
import Testing

/// Rounded activations against compressed-tensors in float32 (Interop/make_activation_fixtures.py).
@Suite struct ActivationRoundingTests {
  static let dynamic = [
    "int8-token", "int4-token", "int8-token-asym", "int8-g32", "int8-tensor-dynamic", "fp8-token", "fp8-g32", "fp8-tensor-dynamic",
  ]
  static let stored = ["int8-tensor", "int8-tensor-asym", "fp8-tensor"]

  private func fixture(_ name: String) throws -> Matrix {
    let tensors = try Fixture.tensors(SharedData.fixture("engine/activations.safetensors"))
    return try #require(tensors.first { $0.name == name }).matrix()
  }

  private func rounded(_ values: Matrix, _ rounding: any ValueRounding, threads: Int = 2) -> Matrix {
    var values = values
    values.round(with: rounding, parallel: Parallel(threads: threads))
    return values
  }

  @Test(arguments: dynamic) func computedScalesGiveTheValuesOfCompressedTensors(_ name: String) throws {
    let scheme = try #require(ActivationScheme(named: name))
    #expect(rounded(try fixture("values"), ActivationRounding(scheme)).values == (try fixture(name).values))
  }

  @Test(arguments: stored) func storedScalesGiveTheValuesOfCompressedTensors(_ name: String) throws {
    let scheme = try #require(ActivationScheme(named: name))
    let range = try fixture("range").values
    let rounding = ActivationRounding(scheme, minimum: range[0], maximum: range[1])
    #expect(rounded(try fixture("values"), rounding).values == (try fixture(name).values))
  }

  @Test(arguments: ["int8-channel", "int4-channel-asym", "fp8-channel"])
  func storedScalesOfChannelsGiveTheValuesOfCompressedTensors(_ name: String) throws {
    let scheme = try #require(ActivationScheme(named: name))
    let sides = try fixture("channels")
    let ranges = (0..<sides.columns).map { (minimum: sides[0, $0], maximum: sides[1, $0]) }
    let rounding = ChannelRounding(scheme, ranges: ranges)
    #expect(rounded(try fixture("values"), rounding).values == (try fixture(name).values))
    #expect(!rounded(Matrix(rows: 1, columns: 2, values: [.nan, 1]), rounding).values[0].isFinite)
  }

  @Test(arguments: dynamic + stored) func roundingTwiceOrInParallelChangesNothing(_ name: String) throws {
    let rounding = ActivationRounding(try #require(ActivationScheme(named: name)), stored: .init(scale: 0.5, zeroPoint: 0))
    let once = rounded(try fixture("values"), rounding, threads: 1)
    #expect(rounded(once, rounding) == once)
    #expect(rounded(try fixture("values"), rounding, threads: 3) == once)
  }

  @Test func aTokenRoundsAsItDoesAlone() throws {
    let values = try fixture("values")
    let together = rounded(values, ActivationRounding(.int8Token))
    for row in 0..<values.rows {
      let alone = Matrix(rows: 1, columns: values.columns, values: Array(values.values[row * values.columns..<(row + 1) * values.columns]))
      let expected = together.values[row * values.columns..<(row + 1) * values.columns]
      #expect(rounded(alone, ActivationRounding(.int8Token)).values[...] == expected)
    }
  }

  @Test func valuesThatAreNotFiniteStayVisible() {
    for bad in [Float.nan, .infinity] {
      let values = Matrix(rows: 1, columns: 4, values: [1, bad, 2, 3])
      for scheme in [ActivationScheme.int8Token, .fp8Token, .int8Static] {
        let result = rounded(values, ActivationRounding(scheme, stored: scheme.isStatic ? .init(scale: 1) : nil))
        #expect(!result.values[1].isFinite)
      }
    }
  }

  /// Every E4M3 value rounds to itself, and a midpoint rounds to the even neighbour.
  @Test func floatsOf8BitsRoundHalfToEven() {
    let codes = (0..<0x7f as Range<UInt8>).map { NumberConversion.float(e4m3: $0) }
    let rounding = ActivationRounding(.fp8Static, stored: .init(scale: 1))
    let exact = Matrix(rows: 1, columns: codes.count, values: codes)
    #expect(rounded(exact, rounding) == exact)
    let middles = zip(codes, codes.dropFirst()).map { ($0 + $1) / 2 }
    let even = codes.indices.dropLast().map { codes[$0.isMultiple(of: 2) ? $0 : $0 + 1] }
    #expect(rounded(Matrix(rows: 1, columns: middles.count, values: middles), rounding).values == even)
    #expect(rounded(Matrix(rows: 1, columns: 2, values: [1000, -1000]), rounding).values == [448, -448])
  }

  @Test func shortFloatsAreKeptInTheirType() {
    let values = Matrix(rows: 1, columns: 3, values: [1.0001, 3.14159, -70000])
    #expect(rounded(values, FloatRounding(.bf16)).values == [1, 3.140625, -70144])
    #expect(rounded(values, FloatRounding(.f16)).values == [1, 3.140625, -.infinity])
    #expect(rounded(values, FloatRounding(.f32)) == values)
  }
}
