extension String {
  /// Whether another text is part of this one, byte for byte. The standard library's `contains` compares characters and has a slow
  /// setup for each search: with it, planning would spend most of its time here.
  public func hasPart(_ part: String) -> Bool {
    var (text, part) = (self, part)
    return text.withUTF8 { text in
      part.withUTF8 { part in
        guard let first = part.first else { return true }
        guard part.count <= text.count else { return false }
        for start in 0...text.count - part.count where text[start] == first {
          if (1..<part.count).allSatisfy({ text[start + $0] == part[$0] }) { return true }
        }
        return false
      }
    }
  }
}
