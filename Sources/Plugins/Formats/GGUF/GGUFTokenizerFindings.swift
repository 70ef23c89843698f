import QuantCore

/// What makes llama.cpp refuse the tokenizer of a GGUF, or abort when it meets certain texts.
enum GGUFTokenizerFindings {
  static func all(_ metadata: KeyValues) -> [Finding] {
    guard case .strings(let tokens)? = metadata["tokenizer.ggml.tokens"], !tokens.isEmpty else { return [] }
    let name = metadata["tokenizer.ggml.model"]?.stringValue
    switch TokenizerData.Kind.allCases.first(where: { $0.ggufName == name }) {
    case .byteLevelBPE: return repeated(tokens) + merges(metadata)
    case .sentencePieceBPE: return repeated(tokens) + bytes(tokens)
    case .wordPiece, .unigram, nil: return repeated(tokens)
    }
  }

  /// llama.cpp gives empty texts names of their own.
  private static func repeated(_ tokens: [String]) -> [Finding] {
    var ids: [[UInt8]: Int] = [:]
    ids.reserveCapacity(tokens.count)
    var found: (first: Int, second: Int)?
    var count = 0
    for (id, token) in tokens.enumerated() where !token.isEmpty {
      guard let first = ids.updateValue(id, forKey: Array(token.utf8)) else { continue }
      found = found ?? (first, id)
      count += 1
    }
    guard let found else { return [] }
    return [
      Finding(
        .error, "tokenizer.duplicate-token",
        "tokens \(found.first) and \(found.second) have the same text \(tokens[found.first].debugDescription)"
          + (count == 1 ? "" : ", and \(count - 1) more repeat others") + ": llama.cpp aborts")
    ]
  }

  private static func merges(_ metadata: KeyValues) -> [Finding] {
    if case .strings(let merges)? = metadata["tokenizer.ggml.merges"], !merges.isEmpty { return [] }
    return [Finding(.error, "tokenizer.merges-missing", "the tokenizer has no merges: llama.cpp does not load it")]
  }

  /// Characters without a token are spelled with these.
  private static func bytes(_ tokens: [String]) -> [Finding] {
    let known = Set(tokens)
    let missing = (0..<256).first { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      return !known.contains("<0x" + (byte < 16 ? "0" : "") + digits + ">")
    }
    guard missing != nil else { return [] }
    return [
      Finding(
        .error, "tokenizer.bytes-missing",
        "the tokenizer has no tokens for bytes (<0x00> to <0xFF>): llama.cpp aborts at a character without a token")
    ]
  }
}
