import QuantCore

extension AdapterRequest {
  /// From `PATH` or `PATH:FACTOR`, as one types it.
  init(typed text: String) {
    guard let colon = text.lastIndex(of: ":"), colon != text.startIndex, let factor = Double(text[text.index(after: colon)...]),
      factor.isFinite
    else {
      self.init(path: text)
      return
    }
    self.init(path: String(text[..<colon]), factor: factor)
  }
}
