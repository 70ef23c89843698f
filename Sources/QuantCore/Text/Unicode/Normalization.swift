/// Unicode normalization form C (Unicode Standard Annex 15).
///
/// Swift's own normalization is not public, and tokenizers that were trained on NFC text need exactly that.
enum Normalization {
  /// The text in NFC.
  static func nfc(_ text: [UInt8]) -> [UInt8] {
    // Below U+0300 (lead byte 0xcc) nothing combines and everything is composed already.
    if text.allSatisfy({ $0 < 0xcc }) { return text }
    var scalars = decomposed(text)
    compose(&scalars)
    return bytes(of: scalars, about: text.count)
  }

  /// The text in NFD.
  static func nfd(_ text: [UInt8]) -> [UInt8] {
    // Below U+00C0 (lead byte 0xc3) nothing decomposes.
    if text.allSatisfy({ $0 < 0xc3 }) { return text }
    return bytes(of: decomposed(text), about: text.count)
  }

  private static func decomposed(_ text: [UInt8]) -> [UInt32] {
    var scalars: [UInt32] = []
    scalars.reserveCapacity(text.count)
    var index = 0
    while index < text.count {
      let (scalar, length) = ScalarText.scalar(in: text, at: index)
      decompose(scalar, into: &scalars)
      index += length
    }
    sortMarks(&scalars)
    return scalars
  }

  private static func bytes(of scalars: [UInt32], about count: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count + count / 4)
    for scalar in scalars { result.append(scalar: scalar) }
    return result
  }

  private static func decompose(_ scalar: UInt32, into result: inout [UInt32]) {
    if scalar < 0xc0 {
      result.append(scalar)
    } else if let syllable = Hangul.syllable(scalar) {
      result.append(Hangul.leadBase + syllable / Hangul.perLead)
      result.append(Hangul.vowelBase + syllable % Hangul.perLead / Hangul.trailCount)
      if syllable % Hangul.trailCount != 0 { result.append(Hangul.trailBase + syllable % Hangul.trailCount) }
    } else if let parts = tables.decompositions[scalar] {
      // Mappings are nested at most a few levels deep: the first part may decompose again.
      for part in parts { decompose(part, into: &result) }
    } else {
      result.append(scalar)
    }
  }

  /// Sorts each run of marks by combining class, stably.
  private static func sortMarks(_ scalars: inout [UInt32]) {
    var start = 0
    while start < scalars.count {
      guard combiningClass(scalars[start]) != 0 else {
        start += 1
        continue
      }
      var end = start
      while end < scalars.count, combiningClass(scalars[end]) != 0 { end += 1 }
      if end - start > 1 {
        let run = scalars[start..<end].enumerated()
          .sorted { (combiningClass($0.element), $0.offset) < (combiningClass($1.element), $1.offset) }
        scalars.replaceSubrange(start..<end, with: run.map(\.element))
      }
      start = end
    }
  }

  private static func compose(_ scalars: inout [UInt32]) {
    var result: [UInt32] = []
    result.reserveCapacity(scalars.count)
    // Index of the last starter in `result`, and the class of the last character after it.
    var starter: Int?
    var lastClass: UInt8 = 0
    for scalar in scalars {
      let scalarClass = combiningClass(scalar)
      if let place = starter, place == result.count - 1 || (lastClass != 0 && lastClass < scalarClass),
        let composed = composition(result[place], scalar)
      {
        result[place] = composed
        continue
      }
      result.append(scalar)
      lastClass = scalarClass
      if scalarClass == 0 { starter = result.count - 1 }
    }
    scalars = result
  }

  private static func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if second >= Hangul.vowelBase, second < Hangul.vowelBase + Hangul.vowelCount, first >= Hangul.leadBase,
      first < Hangul.leadBase + Hangul.leadCount
    {
      return Hangul.base + (first - Hangul.leadBase) * Hangul.perLead + (second - Hangul.vowelBase) * Hangul.trailCount
    }
    if second > Hangul.trailBase, second < Hangul.trailBase + Hangul.trailCount, let syllable = Hangul.syllable(first),
      syllable % Hangul.trailCount == 0
    {
      return first + second - Hangul.trailBase
    }
    return tables.compositions[UInt64(first) << 32 | UInt64(second)]
  }

  private static func combiningClass(_ scalar: UInt32) -> UInt8 {
    guard scalar >= 0x300 else { return 0 }
    return Unicode.Scalar(scalar)?.properties.canonicalCombiningClass.rawValue ?? 0
  }

  /// Syllables are arithmetic (The Unicode Standard, section 3.12).
  private enum Hangul {
    static let base: UInt32 = 0xac00, leadBase: UInt32 = 0x1100, vowelBase: UInt32 = 0x1161, trailBase: UInt32 = 0x11a7
    static let leadCount: UInt32 = 19, vowelCount: UInt32 = 21, trailCount: UInt32 = 28
    static let perLead = vowelCount * trailCount

    /// Number of the syllable, or nil for another character.
    static func syllable(_ scalar: UInt32) -> UInt32? {
      scalar >= base && scalar < base + leadCount * perLead ? scalar - base : nil
    }
  }

  private struct Tables: Sendable {
    var decompositions: [UInt32: [UInt32]] = [:]
    /// Composed character by `first << 32 | second`.
    var compositions: [UInt64: UInt32] = [:]
  }

  private static let tables: Tables = {
    var tables = Tables()
    let data = NormalizationData.decompositions
    var numbers: [UInt32] = [0]
    var composes = true
    for byte in UnsafeBufferPointer(start: data.utf8Start, count: data.utf8CodeUnitCount) {
      switch byte {
      case UInt8(ascii: "="), UInt8(ascii: "+"): numbers.append(0)
      case UInt8(ascii: "!"): composes = false
      case UInt8(ascii: " "), UInt8(ascii: "\n"):
        if numbers == [0] { continue }
        tables.decompositions[numbers[0]] = Array(numbers.dropFirst())
        if composes, numbers.count == 3 { tables.compositions[UInt64(numbers[1]) << 32 | UInt64(numbers[2])] = numbers[0] }
        numbers = [0]
        composes = true
      default:
        let digit = byte < UInt8(ascii: "a") ? byte - UInt8(ascii: "0") : byte - UInt8(ascii: "a") + 10
        numbers[numbers.count - 1] = numbers[numbers.count - 1] << 4 | UInt32(digit)
      }
    }
    return tables
  }()
}
