/// What the name of a model says about it: `meta-llama/Llama-3.2-1B-Instruct` is basename `Llama-3.2`, size `1B`, finetune
/// `Instruct`, by `meta-llama`. The rules are those of llama.cpp's converter.
struct ModelName: Equatable {
  /// The name without the organization.
  private(set) var name: String?
  private(set) var organization: String?
  private(set) var basename: String?
  private(set) var finetune: String?
  private(set) var version: String?
  private(set) var sizeLabel: String?

  private enum Kind { case basename, size, finetune, version, type }

  /// - Parameters:
  ///   - id: `organization/model`, or `model`. A name with spaces is a title and is not split.
  ///   - weightCount: number of weights, which distinguishes a size from a context length; 0 if unknown.
  init(_ id: String, weightCount: Int) {
    guard !id.contains(" ") else {
      name = id
      return
    }
    let slash = id.firstIndex(of: "/")
    let full = slash.map { String(id[id.index(after: $0)...]) } ?? id
    name = full
    organization = slash.map { String(id[..<$0]) }
    if organization?.hasPrefix(".") == true { organization = nil }

    var parts = full.split(separator: "-").map(String.init)
    var kinds = [Set<Kind>](repeating: [], count: parts.count)
    for index in parts.indices { kinds[index] = ModelName.classify(&parts[index], isFirst: index == 0, weightCount: weightCount) }
    // A size in words (`small`) does not count if there is one in digits.
    let hasNumber = zip(parts, kinds).contains { $1.contains(.size) && $0.contains { $0.isNumber } }
    for index in parts.indices where hasNumber && parts[index].allSatisfy(\.isLetter) { kinds[index].remove(.size) }
    ModelName.markBasename(parts, &kinds)

    func joined(_ kind: Kind, where isWanted: (Set<Kind>) -> Bool = { _ in true }) -> [String] {
      zip(parts, kinds).filter { $1.contains(kind) && isWanted($1) }.map { $0.0 }
    }
    func text(_ parts: [String]) -> String? { parts.isEmpty ? nil : parts.joined(separator: "-") }
    var sizes: [String] = []
    for size in joined(.size) where !sizes.contains(size) { sizes.append(size) }
    sizeLabel = text(sizes)
    finetune = text(joined(.finetune))
    version = text(joined(.version) { !$0.contains(.basename) })
    // Without any of the others, the end of the basename is unknown.
    if sizeLabel != nil || finetune != nil || version != nil { basename = text(joined(.basename)) }
  }

  private static func classify(_ part: inout String, isFirst: Bool, weightCount: Int) -> Set<Kind> {
    if part.wholeMatch(of: #/(v|iter)?\d+([.]\d+)*/#.ignoresCase()) != nil { return [.version] }
    if part.wholeMatch(of: #/i?q\d(_\w)*|b?fp?(16|32)/#.ignoresCase()) != nil {
      part = part.uppercased()
      return [.type]
    }
    guard !isFirst else { return [] }
    if part.wholeMatch(of: #/(([A]|\d+[x])?\d+([._]\d+)?[KMBT][\d]?|small|mini|medium|large|x?xl)/#.ignoresCase()) != nil {
      return size(&part, weightCount: weightCount)
    }
    return part.wholeMatch(of: #/chat|instruct|vision|lora/#.ignoresCase()) != nil ? [.finetune] : []
  }

  /// Normalises the spelling of a size; one far from the number of weights is not treated as a size.
  private static func size(_ part: inout String, weightCount: Int) -> Set<Kind> {
    var letters = Array(part.replacing("_", with: "."))
    // `7b1` is 7.1 billion.
    if let last = letters.last, last.isNumber, letters.count > 2 {
      let unit = letters[letters.count - 2]
      letters.removeLast(2)
      letters += [".", last, unit]
    }
    if letters.count > 1, letters[letters.count - 2].isNumber, let last = letters.last, "kmbt".contains(last) {
      letters[letters.count - 1] = Character(last.uppercased())
    }
    part = String(letters)
    guard weightCount > 0, let last = letters.last, let number = Double(String(letters.dropLast())) else { return [.size] }
    let distance = abs(number * unit(of: last) - Double(weightCount))
    guard distance > Double(weightCount / 8 * 7 + weightCount % 8 * 7 / 8) else { return [.size] }
    part = String(letters.dropLast()) + last.lowercased()
    return [.finetune]
  }

  private static func unit(of suffix: Character) -> Double {
    switch suffix {
    case "K": 1e3
    case "M": 1e6
    case "B": 1e9
    case "T": 1e12
    default: 1e-3
    }
  }

  /// The basename comes first: words, with versions between them.
  private static func markBasename(_ parts: [String], _ kinds: inout [Set<Kind>]) {
    var isInFront = true
    for index in parts.indices {
      let isWord = kinds[index].isEmpty && parts[index].first?.isLetter == true
      if isInFront, isWord || kinds[index].contains(.version) {
        kinds[index].insert(.basename)
      } else {
        isInFront = false
        if kinds[index].isEmpty { kinds[index].insert(.finetune) }
      }
    }
    // A version at the end of the whole name is a version and not part of the basename.
    for index in parts.indices.reversed() {
      guard kinds[index].contains(.basename), kinds[index].count > 1 else { return }
      kinds[index].remove(.basename)
    }
  }

  /// `tiny-llama` as `Tiny Llama`: words in lower case get capitals, versions and acronyms are kept.
  static func title(_ id: String) -> String {
    id.replacing("-", with: " ").split(whereSeparator: \.isWhitespace).map { word in
      let isLower = word.contains { $0.isLetter } && !word.contains { $0.isUppercase }
      let isNumber = word.first?.isNumber == true || word.wholeMatch(of: #/v\d+(?:\.\d+)*/#) != nil
      return isLower && !isNumber ? capitalized(word) : String(word)
    }.joined(separator: " ")
  }

  /// A capital at the start of each run of letters.
  private static func capitalized(_ word: Substring) -> String {
    var afterLetter = false
    return word.reduce(into: "") { result, character in
      result += afterLetter ? character.lowercased() : character.uppercased()
      afterLetter = character.isLetter
    }
  }
}
