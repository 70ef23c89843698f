import QuantCore

@testable import GGUF

/// Rows that test every edge case of the block encoders, from a fixed generator.
struct BlockSamples {
  let rows: Int
  let columns: Int
  var values: [Float]
  /// The importance of each column, sometimes zero.
  let importance: [Float]

  static let allSchemes: [any GGUFBlockScheme] = GGUFBlocks.schemeNames.compactMap { GGUFBlocks.blockScheme(named: $0) }

  init(columns: Int = 768, copies: Int = 2, seed: UInt64 = 1) {
    var random = Generator(state: seed)
    var values: [Float] = []
    for _ in 0..<copies {
      let kinds: [(Int, Float) -> Float] = [
        { _, g in g * 0.02 },
        { _, g in g * g * g * 0.01 },  // heavy tails
        { i, g in i % 97 == 0 ? g * 60 : g },  // outliers
        { _, _ in -0.37 },
        { _, _ in 2.5 },
        { _, _ in 0 },
        { _, _ in -0.0 },
        { i, g in g * (i / 16 % 3 == 0 ? 1 : i / 16 % 3 == 1 ? 1e-4 : 1e-9) },  // stored sub-scales of zero
        { _, g in g.magnitude + 0.1 },
        { _, g in -g.magnitude - 0.1 },
        { _, g in g * 1e-6 + 1 },
        { i, g in i % 23 == 5 ? g : 0 },
        { _, g in g < 0 ? -1 : 1 },
        { _, g in g * 1e-7 },  // subnormal 16-bit scales
        { _, g in g * 1e-38 },
        { _, g in g * 1e-38 * 1e-3 },  // subnormal
        { _, g in g * 1e-38 * 1e-6 },
        { _, g in g * 1e6 },  // scales beyond 16-bit floats
        { _, g in g * 1e19 },  // squares overflow
        { _, g in max(-3.4e38, min(3.4e38, g * 2e38)) },  // ranges overflow
      ]
      for kind in kinds {
        for i in 0..<columns { values.append(kind(i, random.gaussian())) }
      }
    }
    self.columns = columns
    self.values = values
    rows = values.count / columns
    importance = (0..<columns).map { i in
      let g = random.gaussian()
      return i % 13 == 0 ? 0 : g * g
    }
  }

  var matrix: Matrix { Matrix(rows: rows, columns: columns, values: values) }

  /// Sums of uniform values are close enough to a normal distribution.
  struct Generator {
    var state: UInt64
    mutating func uniform() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40) / Float(1 << 24)
    }
    mutating func gaussian() -> Float {
      var sum: Float = -3
      for _ in 0..<6 { sum += uniform() }
      return sum * 1.4142
    }
  }
}

/// Floats as bits, so that the sign of zero and NaN are compared too.
func bits(_ values: [Float]) -> [UInt32] { values.map { $0.isNaN ? 0x7FC0_0000 : $0.bitPattern } }
