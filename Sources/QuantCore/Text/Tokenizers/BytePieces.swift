/// The pieces `<0x00>` … `<0xFF>` of a SentencePiece vocabulary, which spell characters without a piece, and text from pieces.
struct BytePieces: Sendable {
  /// Ids by byte; empty if one is missing.
  let ids: [UInt32]
  private let byteOfID: [UInt32: UInt8]

  init(_ index: TokenIndex) {
    let found = (0..<256).compactMap { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      return index.id(of: "<0x" + (byte < 16 ? "0" : "") + digits + ">").map { UInt32(truncatingIfNeeded: $0) }
    }
    ids = found.count == 256 ? found : []
    byteOfID = Dictionary(ids.enumerated().map { ($1, UInt8($0)) }) { first, _ in first }
  }

  /// The bytes of one piece.
  func bytes(of id: Int, _ index: TokenIndex) -> [UInt8] {
    if let byte = UInt32(exactly: id).flatMap({ byteOfID[$0] }) { return [byte] }
    return index.bytes(of: id).map { Normalizer.replace(SentencePieceRules.space, with: [0x20], in: Array($0)) } ?? []
  }

  func decode(_ ids: [Int], _ index: TokenIndex, stripsLeadingSpace: Bool) -> String {
    var result: [UInt8] = []
    // Bytes of consecutive byte tokens, which together may form a character.
    var pending: [UInt8] = []
    func flush() {
      if String(validating: pending, as: UTF8.self) != nil {
        result.append(contentsOf: pending)
      } else {
        for _ in pending { result.append(contentsOf: UTF8.encodedReplacementCharacter) }
      }
      pending.removeAll()
    }
    for id in ids {
      if let byte = UInt32(exactly: id).flatMap({ byteOfID[$0] }) {
        pending.append(byte)
        continue
      }
      if !pending.isEmpty { flush() }
      result.append(contentsOf: bytes(of: id, index))
    }
    if !pending.isEmpty { flush() }
    if stripsLeadingSpace, result.first == 0x20 { result.removeFirst() }
    return String(decoding: result, as: UTF8.self)
  }
}
