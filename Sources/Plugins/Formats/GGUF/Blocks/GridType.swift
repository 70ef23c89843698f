import CBlocks
import QuantCore

/// The block types that index grids: where their bits are (`layouts.h` of the kernels), and what they mean.
enum GridType: Sendable, CaseIterable {
  case iq1s, iq1m, iq2xxs, iq2xs, iq2s, iq3xxs, iq3s

  /// The row of the block-type table to which these facts belong.
  var block: BlockType {
    switch self {
    case .iq1s: .iq1_s
    case .iq1m: .iq1_m
    case .iq2xxs: .iq2_xxs
    case .iq2xs: .iq2_xs
    case .iq2s: .iq2_s
    case .iq3xxs: .iq3_xxs
    case .iq3s: .iq3_s
    }
  }

  var grid: qc_grid {
    switch self {
    case .iq1s, .iq1m: QC_GRID_IQ1
    case .iq2xxs: QC_GRID_IQ2_XXS
    case .iq2xs: QC_GRID_IQ2_XS
    case .iq2s: QC_GRID_IQ2_S
    case .iq3xxs: QC_GRID_IQ3_XXS
    case .iq3s: QC_GRID_IQ3_S
    }
  }

  /// Points of -1, 0 and 1 with a common shift, instead of magnitudes with signs.
  var isTernary: Bool { self == .iq1s || self == .iq1m }
  /// Weights in a point.
  var pointLength: Int { self == .iq3xxs || self == .iq3s ? 4 : 8 }
  /// Number of scales of a super-block.
  var scaleCount: Int { block.weights / block.scaleWeights }
  /// Number of shifts of a super-block.
  var shiftCount: Int { self == .iq1s ? 8 : self == .iq1m ? 32 : 0 }
  /// Stored signs per 8 weights: if 7, the number of minus signs is even.
  var storedSigns: Int { self == .iq2s || self == .iq3s ? 8 : 7 }

  /// The values of a coordinate's levels before scale and sign.
  var levels: [Float] {
    switch self {
    case .iq1s, .iq1m: [-1, 0, 1]
    case .iq2xxs, .iq2xs, .iq2s: [8, 25, 43]
    case .iq3xxs: [4, 12, 20, 28, 36, 44, 52, 62]
    case .iq3s: [1, 3, 5, 7, 9, 11, 13, 15]
    }
  }

  /// Coordinate after coordinate, the values of all points before scale and sign.
  var coordinates: [Float] { GridType.allCoordinates[self] ?? [] }

  private static let allCoordinates = Dictionary(
    uniqueKeysWithValues: allCases.map { type in
      let points = GridPoints(type.grid), levels = type.levels
      return (type, (0..<type.pointLength).flatMap { i in (0..<points.count).map { levels[Int(points.level(i, of: $0))] } })
    })

  /// The factor of levels under a stored scale.
  func factor(d: Float, scale: Float) -> Float {
    switch self {
    case .iq2xxs, .iq2xs, .iq2s: d * (0.5 + scale) * 0.25
    case .iq3xxs: d * (0.5 + scale) * 0.5
    case .iq3s, .iq1s, .iq1m: d * (2 * scale + 1)
    }
  }

  // MARK: - Places

  /// A run of bits, counted from the lowest bit of a block's first byte.
  struct Run {
    let bit: Int
    let width: Int

    init(_ bit: Int, _ width: Int) {
      self.bit = bit
      self.width = width
    }

    func read(_ bytes: UnsafePointer<UInt8>) -> Int {
      let byte = bit / 8, shift = bit % 8
      var word = Int(bytes[byte])
      if shift + width > 8 { word |= Int(bytes[byte + 1]) << 8 }
      return word >> shift & (1 << width - 1)
    }

    /// - Precondition: the bits are zero, and `value` fits in them.
    func write(_ value: Int, _ bytes: UnsafeMutablePointer<UInt8>) {
      let byte = bit / 8, word = value << (bit % 8)
      bytes[byte] |= UInt8(truncatingIfNeeded: word)
      if bit % 8 + width > 8 { bytes[byte + 1] |= UInt8(truncatingIfNeeded: word >> 8) }
    }
  }

  /// The 16-bit float d, lowest bits first.
  var d: [Run] { self == .iq1m ? (0..<4).map { Run(8 * 48 + 16 * $0 + 12, 4) } : [Run(0, 16)] }

  /// The index of a point: its low bits, and its high bits if they are stored elsewhere.
  func index(_ point: Int) -> (low: Run, high: Run?) {
    switch self {
    case .iq2xxs: (Run(8 * 2 + 64 * (point / 4) + 8 * (point % 4), 8), nil)
    case .iq2xs: (Run(8 * 2 + 16 * point, 9), nil)
    case .iq2s: (Run(8 * 2 + 8 * point, 8), Run(8 * 66 + 2 * point, 2))
    case .iq3xxs: (Run(8 * 2 + 8 * point, 8), nil)
    case .iq3s: (Run(8 * 2 + 8 * point, 8), Run(8 * 66 + point, 1))
    case .iq1s: (Run(8 * 2 + 8 * point, 8), Run(8 * 34 + 16 * (point / 4) + 3 * (point % 4), 3))
    case .iq1m: (Run(8 * point, 8), Run(8 * 32 + 4 * point, 3))
    }
  }

  /// The signs of 8 weights, or nil.
  func signs(_ stretch: Int) -> Run? {
    switch self {
    case .iq2xxs: Run(8 * 6 + 64 * (stretch / 4) + 7 * (stretch % 4), 7)
    case .iq2xs: Run(8 * 2 + 16 * stretch + 9, 7)
    case .iq2s: Run(8 * 34 + 8 * stretch, 8)
    case .iq3xxs: Run(8 * 66 + 32 * (stretch / 4) + 7 * (stretch % 4), 7)
    case .iq3s: Run(8 * 74 + 8 * stretch, 8)
    case .iq1s, .iq1m: nil
    }
  }

  func scale(_ number: Int) -> Run {
    switch self {
    case .iq2xxs: Run(8 * 2 + 64 * number + 60, 4)
    case .iq2xs: Run(8 * 66 + 4 * number, 4)
    case .iq2s: Run(8 * 74 + 4 * number, 4)
    case .iq3xxs: Run(8 * 66 + 32 * number + 28, 4)
    case .iq3s: Run(8 * 106 + 4 * number, 4)
    case .iq1s: Run(8 * 34 + 16 * number + 12, 3)
    case .iq1m: Run(8 * 48 + 16 * (number / 4) + 3 * (number % 4), 3)
    }
  }

  /// Whether a shift is downwards.
  func shift(_ number: Int) -> Run {
    self == .iq1s ? Run(8 * 34 + 16 * number + 15, 1) : Run(8 * 32 + 4 * number + 3, 1)
  }
}
