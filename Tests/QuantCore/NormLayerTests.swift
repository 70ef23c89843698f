import QuantCore
import Testing

@testable import QuantEngine
@testable import QuantModel
@testable import QuantNumbers

@Suite struct NormLayerTests {
  /// In double precision. `rounding` is applied before the gain.
  private func expected(_ x: [Float], gain: [Float], rounding: (Double) -> Double) -> [Double] {
    let scale = 1 / (x.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(x.count) + 1e-5).squareRoot()
    return zip(x, gain).map { rounding(Double($0) * scale) * Double($1) }
  }

  @Test(arguments: [ProductPrecision.f32, .bf16]) func rootMeanSquareNormsRoundBeforeTheGain(_ precision: ProductPrecision) {
    let x: [Float] = [1, 0.3, -2.7, 0.011, 5.9, -0.7, 3.3, 0.123]
    let gain: [Float] = [1, 1.7, 0.4, 128, 0.01, 3, 0.9, 2.1]
    var layer = NormLayer(Norm(.outputNorm, .rootMeanSquare, epsilon: 1e-5), gain: gain, bias: nil)
    layer.precision = precision
    let result = layer(Matrix(rows: 1, columns: 8, values: x), rows: 0..<1, parallel: Parallel(threads: 1))
    let rounds = precision == .bf16 && ProductPrecision.hasBFloat
    let wanted = expected(x, gain: gain) { rounds ? Double(NumberConversion.rounded(Float($0), to: .bf16)) : $0 }
    for (value, want) in zip(result.values, wanted) { #expect(abs(Double(value) - want) <= abs(want) * 1e-6) }
  }
}
