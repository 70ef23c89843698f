import CKernels

/// How unsigned codes of a few bits are packed into a run of 32-bit words.
public struct WordLayout: Sendable, Equatable {
  /// Bits of a code: 2 to 8.
  public let bits: Int
  /// Whether codes follow one another without gaps, so that one may begin in one word and end in the next. Otherwise a word holds
  /// as many whole codes as fit; for 2, 4 and 8 bits both are the same.
  public let isDense: Bool
  /// The slot of the n-th code within its word; empty: codes are in order from the lowest bits on.
  public let slots: [Int]

  /// - Parameter slots: for 2, 4 and 8 bits a permutation of the codes of a word, or empty.
  public init(bits: Int, isDense: Bool = true, slots: [Int] = []) {
    self.bits = max(1, min(bits, 32))
    self.isDense = isDense && slots.isEmpty
    self.slots = slots
  }

  /// Whole codes in one word.
  public var perWord: Int { 32 / bits }

  /// Words that hold this many codes.
  public func words(for codes: Int) -> Int {
    let (whole, rest) = codes.quotientAndRemainder(dividingBy: isDense ? 32 : perWord)
    // A dense run of 32 codes takes as many words as a code has bits.
    guard isDense else { return whole + (rest > 0 ? 1 : 0) }
    return whole * bits + (rest * bits + 31) / 32
  }

  /// The word in which a code begins, and the position of its lowest bit there.
  @inline(__always) func place(_ index: Int) -> (word: Int, shift: Int) {
    if isDense {
      let first = index &* bits
      return (first >> 5, first & 31)
    }
    let (word, rest) = index.quotientAndRemainder(dividingBy: perWord)
    return (word, (slots.isEmpty ? rest : slots[rest]) * bits)
  }

  /// Sets a code of a run whose bits are still zero there.
  /// - Parameters:
  ///   - first: index in `words` at which the run begins.
  ///   - stride: distance between its words.
  @inline(__always) public func set(_ code: UInt32, at index: Int, in words: inout [UInt32], first: Int, stride: Int = 1) {
    let (word, shift) = place(index)
    let code = code & UInt32.max >> UInt32(32 - bits)
    words[first + word * stride] |= code << UInt32(shift)
    if shift + bits > 32 { words[first + (word + 1) * stride] |= code >> UInt32(32 - shift) }
  }
}

/// Unsigned codes in lines of 32-bit words: rows or columns of a matrix, depending on how a format packs them.
public struct PackedIntegers: Sendable {
  public let layout: WordLayout
  /// Codes in a line.
  public let length: Int
  public let lines: Int
  private let bytes: ByteView
  private let wordStride: Int
  private let lineStride: Int
  private let wordAddend: UInt32
  private let codeAddend: UInt32

  /// - Parameters:
  ///   - wordStride: distance between the words of a line, in words.
  ///   - lineStride: distance between the first words of two lines.
  ///   - wordAddend: added to each word, with wraparound, before codes are taken from it.
  ///   - codeAddend: added to each code, with wraparound.
  /// - Returns: nil if a line would leave `bytes`.
  public init?(
    _ bytes: ByteView, layout: WordLayout, length: Int, lines: Int, wordStride: Int, lineStride: Int, wordAddend: UInt32 = 0,
    codeAddend: UInt32 = 0
  ) {
    guard length > 0, lines > 0, wordStride > 0, lineStride > 0, length <= Int.max / 64,
      let across = Checked.product(layout.words(for: length) - 1, wordStride), let down = Checked.product(lines - 1, lineStride),
      let last = Checked.sum(across, down), last < bytes.count / 4
    else { return nil }
    self.layout = layout
    self.length = length
    self.lines = lines
    self.bytes = bytes
    self.wordStride = wordStride
    self.lineStride = lineStride
    self.wordAddend = wordAddend
    self.codeAddend = codeAddend
  }

  /// One code.
  /// - Precondition: both indices are within the matrix.
  public func code(_ index: Int, line: Int) -> Int32 {
    var code: Int32 = 0
    unpack(index..<index + 1, lines: line..<line + 1, into: &code, codeStride: 1, lineStride: 1)
    return code
  }

  /// Codes of some lines, written `codeStride` apart within a line and `lineStride` apart between lines.
  /// - Precondition: both ranges are within the matrix.
  public func unpack(
    _ indices: Range<Int>, lines: Range<Int>, into destination: UnsafeMutablePointer<Int32>, codeStride: Int, lineStride: Int
  ) {
    let mask = UInt32.max >> UInt32(32 - layout.bits)
    bytes.withUnsafeBytes { raw in
      guard let base = raw.baseAddress else { return }
      @inline(__always) func load(_ word: Int) -> UInt32 {
        UInt32(littleEndian: (base + word * 4).loadUnaligned(as: UInt32.self)) &+ wordAddend
      }
      // Codes at one index have the same shift in all lines, and in lines that are words apart they are neighbours in memory.
      for index in indices {
        let (word, shift) = layout.place(index)
        let isSplit = shift + layout.bits > 32
        var target = destination + (index - indices.lowerBound) * codeStride
        var source = word * wordStride + lines.lowerBound * self.lineStride
        for _ in lines {
          var code = load(source) >> UInt32(shift)
          if isSplit { code |= load(source + wordStride) << UInt32(32 - shift) }
          target.pointee = Int32(bitPattern: (code &+ codeAddend) & mask)
          target += lineStride
          source += self.lineStride
        }
      }
    }
  }

  /// Whether every code equals this one.
  public func areAll(_ code: Int32) -> Bool { allLines { $0.allSatisfy { $0 == code } } }

  /// Whether some code equals this one.
  public func contains(_ code: Int32) -> Bool { !allLines { !$0.contains(code) } }

  private func allLines(_ holds: ([Int32]) -> Bool) -> Bool {
    var line = [Int32](repeating: 0, count: length)
    return (0..<lines).allSatisfy { index in
      line.withUnsafeMutableBufferPointer { buffer in
        if let base = buffer.baseAddress { unpack(0..<length, lines: index..<index + 1, into: base, codeStride: 1, lineStride: 1) }
      }
      return holds(line)
    }
  }
}

extension WordLayout {
  /// Packs lines of codes; each line starts a new word.
  /// - Parameters:
  ///   - codes: the codes of all lines, one line after another.
  ///   - offset: added to each code, of which the lowest bits are then taken.
  public func words(of codes: [Int32], lines: Int, adding offset: Int32) -> [UInt32] {
    let length = lines > 0 ? codes.count / lines : 0
    let width = words(for: length)
    // Runs with gaps are packed code by code.
    guard isDense || 32.isMultiple(of: bits) && slots.isEmpty, (2...8).contains(bits) else {
      var result = [UInt32](repeating: 0, count: lines * width)
      for (index, code) in codes.prefix(lines * length).enumerated() {
        set(UInt32(bitPattern: code &+ offset), at: index % length, in: &result, first: index / length * width)
      }
      return result
    }
    var result = [UInt32](repeating: 0, count: lines * width)
    result.withUnsafeMutableBytes { bytes in
      codes.withUnsafeBufferPointer { codes in
        guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), let codes = codes.baseAddress else { return }
        for line in 0..<lines { qc_pack_codes(codes + line * length, length, Int32(bits), offset, base + line * width * 4) }
      }
    }
    return result
  }

  /// Packs rows of codes down the columns; each column starts a new word. The words come column by column.
  /// - Parameters:
  ///   - columns: codes per row.
  ///   - offset: as above.
  public func words(down codes: [Int32], columns: Int, adding offset: Int32) -> [UInt32] {
    let rows = columns > 0 ? codes.count / columns : 0
    let width = words(for: rows)
    var result = [UInt32](repeating: 0, count: columns * width)
    // The fast path needs codes that do not cross from one word into the next.
    guard !isDense || 32.isMultiple(of: bits) else {
      for (index, code) in codes.prefix(rows * columns).enumerated() {
        set(UInt32(bitPattern: code &+ offset), at: index / columns, in: &result, first: index % columns * width)
      }
      return result
    }
    let shifts = (0..<perWord).map { Int32((slots.isEmpty ? $0 : slots[$0]) * bits) }
    qc_pack_down(codes, rows, columns, Int32(bits), shifts, offset, &result)
    return result
  }
}

extension QuantizedPanel {
  /// The lowest bits of all codes, one after another without gaps; the first is in the lowest bits of the first byte.
  /// - Parameter bits: 2 to 8.
  public func codeBytes(bits: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: (codes.count * bits + 7) / 8) { buffer, initialized in
      initialized = buffer.count
      if let base = buffer.baseAddress { qc_pack_codes(codes, codes.count, Int32(bits), 0, base) }
    }
  }

  /// One of the parameters of each tile, tile after tile.
  public func parameters(at index: Int) -> [Float] {
    guard parameterCount > 1 else { return parameters }
    return stride(from: index, to: parameters.count, by: parameterCount).map { parameters[$0] }
  }
}

extension [UInt32] {
  /// The words as they are stored in a file.
  public var littleEndianBytes: [UInt8] {
    // Every supported processor is little-endian.
    withUnsafeBytes { [UInt8]($0) }
  }
}
