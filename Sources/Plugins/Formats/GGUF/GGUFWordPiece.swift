import QuantCore

/// The tokens of a WordPiece vocabulary as GGUF files store them: `▁` marks the start of a word, not `##` its continuation.
enum WordPieceSpelling {
  private static let start: [UInt8] = [0xe2, 0x96, 0x81]
  private static let continuation = Array("##".utf8)

  static func stored(_ tokens: [String], _ types: [TokenizerData.TokenType]) -> [String] {
    map(tokens, types) { token in
      token.starts(with: continuation) ? Array(token.dropFirst(continuation.count)) : start + token
    }
  }

  static func read(_ tokens: [String], _ types: [TokenizerData.TokenType]) -> [String] {
    map(tokens, types) { token in token.starts(with: start) ? Array(token.dropFirst(start.count)) : continuation + token }
  }

  /// Control tokens are spelled as they are in both.
  private static func map(_ tokens: [String], _ types: [TokenizerData.TokenType], _ change: ([UInt8]) -> [UInt8]) -> [String] {
    tokens.enumerated().map { id, token in
      types.indices.contains(id) && types[id] == .control ? token : String(decoding: change(Array(token.utf8)), as: UTF8.self)
    }
  }
}
