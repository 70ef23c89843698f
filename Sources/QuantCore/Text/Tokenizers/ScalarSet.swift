/// A set of characters, as a regular expression writes it.
struct ScalarSet: Sendable, Equatable {
  private var ranges: [ClosedRange<UInt32>] = []
  /// Bits of `UnicodeClass`: a character with any of them belongs to the set.
  private var classes: UInt8 = 0
  /// General categories by raw number, for those that have no bit of their own.
  private var categories: UInt32 = 0
  /// Further sets whose members belong, too.
  private var members: [ScalarSet] = []
  /// Sets to which every member must belong, too.
  private var limits: [ScalarSet] = []
  private var isNegated = false
  /// The members below 128, which are most of what is asked for.
  private var low: (UInt64, UInt64) = (0, 0)

  static func == (a: ScalarSet, b: ScalarSet) -> Bool {
    (a.ranges, a.classes, a.categories, a.members) == (b.ranges, b.classes, b.categories, b.members)
      && (a.limits, a.isNegated) == (b.limits, b.isNegated)
  }

  static func range(_ range: ClosedRange<UInt32>) -> ScalarSet { ScalarSet().changed { $0.ranges = [range] } }
  static func one(_ scalar: UInt32) -> ScalarSet { range(scalar...scalar) }
  static func all(_ ranges: [ClosedRange<UInt32>]) -> ScalarSet { ScalarSet().changed { $0.ranges = ranges } }
  static func union(_ sets: [ScalarSet]) -> ScalarSet {
    if sets.count == 1 { return sets[0] }
    return ScalarSet().changed { set in
      for part in sets {
        // Simple sets are joined, so that a question takes one step.
        if part.isSimple {
          set.ranges += part.ranges
          set.classes |= part.classes
          set.categories |= part.categories
        } else {
          set.members.append(part)
        }
      }
    }
  }
  /// The characters of white space, `\s`.
  static let space = ScalarSet().changed { $0.classes = UnicodeClass.space }
  /// Letters, marks, numbers and connecting punctuation, `\w`.
  static let word = ScalarSet().changed {
    $0.classes = UnicodeClass.letter | UnicodeClass.mark | UnicodeClass.number
    $0.categories = bit(.connectorPunctuation)
  }
  /// Decimal digits, `\d`.
  static let digit = ScalarSet().changed { $0.categories = bit(.decimalNumber) }

  private var isSimple: Bool { !isNegated && limits.isEmpty && members.isEmpty }

  /// Every other character.
  var inverted: ScalarSet { changed { $0.isNegated.toggle() } }

  func intersected(_ other: ScalarSet) -> ScalarSet { ScalarSet().changed { ($0.members, $0.limits) = ([self], [other]) } }

  /// With the other case of each ASCII letter, and the two characters outside ASCII that belong to one.
  var ignoringCase: ScalarSet {
    var added: [ClosedRange<UInt32>] = []
    for letter in UInt32(0x61)...0x7a {
      guard contains(letter, UnicodeClass.of(letter)) || contains(letter - 0x20, UnicodeClass.of(letter - 0x20)) else { continue }
      added += [letter...letter, letter - 0x20...letter - 0x20]
      if letter == 0x73 { added.append(0x17f...0x17f) }
      if letter == 0x6b { added.append(0x212a...0x212a) }
    }
    return isNegated || added.isEmpty ? self : ScalarSet.union([self, .all(added)])
  }

  @inline(__always) func contains(_ scalar: UInt32, _ kind: UInt8) -> Bool {
    if scalar < 64 { return low.0 >> scalar & 1 != 0 }
    if scalar < 128 { return low.1 >> (scalar - 64) & 1 != 0 }
    return slowContains(scalar, kind)
  }

  private func slowContains(_ scalar: UInt32, _ kind: UInt8) -> Bool {
    var holds = kind & classes != 0 || ranges.contains { $0.contains(scalar) } || members.contains { $0.contains(scalar, kind) }
    if !holds, categories != 0, let character = Unicode.Scalar(scalar) {
      holds = categories & ScalarSet.bit(character.properties.generalCategory) != 0
    }
    return holds && limits.allSatisfy({ $0.contains(scalar, kind) }) != isNegated
  }

  private func changed(_ change: (inout ScalarSet) -> Void) -> ScalarSet {
    var result = self
    change(&result)
    result.low = (0, 0)
    for scalar in UInt32(0)..<64 where result.slowContains(scalar, UnicodeClass.of(scalar)) { result.low.0 |= 1 << UInt64(scalar) }
    for scalar in UInt32(64)..<128 where result.slowContains(scalar, UnicodeClass.of(scalar)) { result.low.1 |= 1 << UInt64(scalar - 64) }
    return result
  }

  // MARK: Properties

  private static func bit(_ category: Unicode.GeneralCategory) -> UInt32 {
    1 << UInt32(order.firstIndex(of: category) ?? 31)
  }

  private static let order: [Unicode.GeneralCategory] = names.map { $0.category }

  private static let names: [(name: String, category: Unicode.GeneralCategory)] = [
    ("Lu", .uppercaseLetter), ("Ll", .lowercaseLetter), ("Lt", .titlecaseLetter), ("Lm", .modifierLetter), ("Lo", .otherLetter),
    ("Mn", .nonspacingMark), ("Mc", .spacingMark), ("Me", .enclosingMark), ("Nd", .decimalNumber), ("Nl", .letterNumber),
    ("No", .otherNumber), ("Pc", .connectorPunctuation), ("Pd", .dashPunctuation), ("Ps", .openPunctuation), ("Pe", .closePunctuation),
    ("Pi", .initialPunctuation), ("Pf", .finalPunctuation), ("Po", .otherPunctuation), ("Sm", .mathSymbol), ("Sc", .currencySymbol),
    ("Sk", .modifierSymbol), ("So", .otherSymbol), ("Zs", .spaceSeparator), ("Zl", .lineSeparator), ("Zp", .paragraphSeparator),
    ("Cc", .control), ("Cf", .format), ("Co", .privateUse), ("Cs", .surrogate), ("Cn", .unassigned),
  ]

  /// A property as `\p{…}` names it, or nil for one that no known tokenizer uses.
  static func property(_ name: String) -> ScalarSet? {
    let classes: [String: UInt8] = [
      "L": UnicodeClass.letter, "M": UnicodeClass.mark, "N": UnicodeClass.number, "P": UnicodeClass.punctuation, "S": UnicodeClass.symbol,
      "Ll": UnicodeClass.lower, "Letter": UnicodeClass.letter,
    ]
    if let bits = classes[name] { return ScalarSet().changed { $0.classes = bits } }
    if name == "Han" || name == "Script=Han" { return .all(han) }
    let categories = names.filter { $0.name == name || (name.count == 1 && $0.name.hasPrefix(name)) }
    guard !categories.isEmpty else { return nil }
    return ScalarSet().changed { set in for (_, category) in categories { set.categories |= bit(category) } }
  }

  /// The script of Chinese characters.
  private static let han: [ClosedRange<UInt32>] = [
    0x2e80...0x2e99, 0x2e9b...0x2ef3, 0x2f00...0x2fd5, 0x3005...0x3005, 0x3007...0x3007, 0x3021...0x3029, 0x3038...0x303b, 0x3400...0x4dbf,
    0x4e00...0x9fff, 0xf900...0xfa6d, 0xfa70...0xfad9, 0x16fe2...0x16fe3, 0x16ff0...0x16ff1, 0x20000...0x2a6df, 0x2a700...0x2b739,
    0x2b740...0x2b81d, 0x2b820...0x2cea1, 0x2ceb0...0x2ebe0, 0x2ebf0...0x2ee5d, 0x2f800...0x2fa1d, 0x30000...0x3134a, 0x31350...0x323af,
  ]
}
