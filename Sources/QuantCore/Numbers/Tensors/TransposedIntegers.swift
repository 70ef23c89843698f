/// Sizes and bytes of an integer matrix that a format stores transposed, `[in, out]`: codes, zero points and scales of all outputs
/// side by side, one line per input or group (GPTQ, AWQ).
public struct TransposedIntegers {
  /// Outputs and inputs.
  public let rows: Int
  public let columns: Int
  public let groups: Int
  public let layout: WordLayout
  private let isSymmetric: Bool

  public init(shape: [Int], scheme: any Scheme, layout: WordLayout) {
    rows = shape.first ?? 0
    columns = shape.last ?? 0
    groups = columns / max(1, scheme.groupLength(columns: columns))
    self.layout = layout
    isSymmetric = scheme.grid.kind == .symmetricInteger
  }

  /// A stored tensor of this many lines. Successive rows of the matrix are side by side.
  public func part(_ name: String, lines: Int, width: Int, type: ElementType) -> StoredPart {
    StoredPart(
      name: name, shape: [lines, width], type: .element(type), byteCount: lines * width * type.bitCount / 8, order: .sideBySide)
  }

  /// What is added to a code to make it unsigned.
  private var offset: Int32 { isSymmetric ? 1 << Int32(layout.bits - 1) : 0 }

  /// Codes packed along the inputs: words by rows of the panel.
  public func wordsOfInputs(_ panel: QuantizedPanel) -> [UInt32] {
    let lines = layout.words(of: panel.codes, lines: panel.rows, adding: offset)
    let width = layout.words(for: columns)
    return [UInt32](unsafeUninitializedCapacity: lines.count) { words, initialized in
      initialized = lines.count
      for row in 0..<panel.rows {
        for word in 0..<width { words[word * panel.rows + row] = lines[row * width + word] }
      }
    }
  }

  /// Codes packed along the outputs: inputs by words.
  public func wordsOfOutputs(_ panel: QuantizedPanel) -> [UInt32] { layout.words(down: panel.codes, columns: columns, adding: offset) }

  /// Zero points packed along the outputs: groups by words.
  /// - Parameter stored: gives what is stored for a zero point.
  public func wordsOfZeros(_ panel: QuantizedPanel, as stored: (UInt32) -> UInt32 = { $0 }) -> [UInt32] {
    let width = layout.words(for: panel.rows)
    var words = [UInt32](repeating: 0, count: groups * width)
    for row in 0..<panel.rows {
      for group in 0..<groups {
        let zero = isSymmetric ? 1 << UInt32(layout.bits - 1) : panel.zeroPoint(row: row, group: group)
        layout.set(stored(zero), at: row, in: &words, first: group * width)
      }
    }
    return words
  }

  /// Scales: groups by rows of the panel.
  public func scales(_ panel: QuantizedPanel, as type: ElementType) -> [UInt8] {
    let scales = (0..<groups).flatMap { group in (0..<panel.rows).map { panel.scale(row: $0, group: group) } }
    return NumberConversion.bytes(of: scales, as: type)
  }

  /// Why rows or columns do not fill their words, or nil if they do.
  public static func obstacle(_ lengths: [(what: String, count: Int)], layout: WordLayout) -> String? {
    // Dense codes whose width does not divide 32 fill words in runs of 32.
    let multiple = 32.isMultiple(of: layout.bits) ? layout.perWord : 32
    return lengths.first { !$0.count.isMultiple(of: multiple) }.map { "\($0.count) \($0.what) are not a multiple of \(multiple)" }
  }
}
