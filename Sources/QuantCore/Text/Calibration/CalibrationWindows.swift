/// Windows of equal length, cut from the calibration text.
public struct CalibrationWindows: Sendable, Equatable {
  /// The tokens of each window, `context` of them; empty if only statistics are available.
  public var windows: [[Int]]
  /// The number of windows that are, or were, run.
  public let windowCount: Int
  /// Tokens per window.
  public var context: Int
  /// Tokens in the whole text.
  public var availableTokens: Int
  /// XXH3-128 of the whole text, in hexadecimal.
  public var textHash: String
  /// XXH3-128 of the token ids of all windows, in hexadecimal.
  public var fingerprint: String
  /// Where the text came from, for provenance: "built-in" or "user".
  public var origin: String

  /// Tokens in all windows.
  public var tokenCount: Int { windowCount * context }

  /// Cuts the text into windows and chooses among them.
  ///
  /// The text is tokenized once. Of n whole windows, m are wanted: those with the numbers ⌊i·n/m⌋ for i = 0 … m−1, or with a
  /// seed m different ones at random, in the order of the text.
  /// - Parameter areTexts: whether each window is a text of its own, with what the tokenizer puts before and after it.
  /// - Throws: `Failure` if the text has fewer than two tokens, or a BOS token is requested that the tokenizer lacks.
  public init(
    text: String, origin: String, tokenizer: any Tokenizer, request: CalibrationRequest, areTexts: Bool = false
  ) throws {
    let ids = tokenizer.encode(text)
    availableTokens = ids.count
    self.origin = origin
    textHash = Fingerprint.of(text)
    let startsWithBOS = request.bos ?? (tokenizer.data.addsBOS ?? false)
    let bos = startsWithBOS ? tokenizer.data.special["bos"] : nil
    if request.bos == true && bos == nil {
      throw Failure(.usage, "calibration.bos", "the tokenizer has no BOS token", remedy: "Leave out \(setting: "bos").")
    }
    guard ids.count >= 2 else {
      throw Failure(
        .data, "calibration.empty", "the calibration text has only \(ids.count) tokens", file: request.files.first,
        remedy: "Give a text of at least a few thousand words, or leave out \(setting: "calibration") to use the built-in text.")
    }
    let frame = areTexts ? tokenizer.data.frame(begins: request.bos) : TokenizerData.Template(front: bos.map { [$0] } ?? [], back: [])
    let body = min(max(1, max(2, request.context) - frame.count), ids.count)
    context = body + frame.count
    let whole = ids.count / body
    let chosen = CalibrationWindows.choose(min(request.samples, whole), of: whole, seed: request.seed)
    windows = chosen.map { frame.around(ids[$0 * body..<($0 + 1) * body]) }
    windowCount = windows.count
    let used = windows.flatMap { $0 }.map { UInt32(truncatingIfNeeded: $0) }
    fingerprint = used.withUnsafeBytes { Fingerprint.of($0) }
  }

  /// What a file of statistics says about the text they were collected on, or nil if that is malformed.
  package init?(stored: String) {
    let words = stored.split(separator: " ").map(String.init)
    guard words.count == 6, let count = Int(words[1]), let context = Int(words[2]), let available = Int(words[3]), count > 0,
      context > 0, available > 0, Checked.product(count, context) != nil
    else { return nil }
    windows = []
    windowCount = count
    self.context = context
    availableTokens = available
    origin = words[0]
    textHash = words[4]
    fingerprint = words[5]
  }

  /// The inverse of `init(stored:)`.
  package var stored: String { "\(origin) \(windowCount) \(context) \(availableTokens) \(textHash) \(fingerprint)" }

  private static func choose(_ count: Int, of whole: Int, seed: UInt64) -> [Int] {
    guard seed != 0, count < whole else { return (0..<count).map { $0 * whole / count } }
    var state = seed
    var indices = Array(0..<whole)
    for i in 0..<count {
      // SplitMix64: changing the generator would change what a seed means.
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      z ^= z >> 31
      indices.swapAt(i, i + Int(z % UInt64(whole - i)))
    }
    return indices[0..<count].sorted()
  }
}
