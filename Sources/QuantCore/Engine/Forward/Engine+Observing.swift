extension Engine {
  /// Shows an observer the inputs of a block's linear layers. The hidden states stay in front of the block, and nothing is
  /// computed behind the last site.
  /// - Parameters:
  ///   - hidden: `[sequences * sequenceLength, hidden]` in front of the block.
  package func observe(_ block: BlockWorkspace, hidden: Matrix, sequenceLength: Int, observer: any SiteObserver) {
    let pass = observingPass(block, observer)
    for rows in groups(of: hidden, sequenceLength: sequenceLength) {
      var part = hidden.rows(rows)
      run(pass, hidden: &part, sequenceLength: sequenceLength)
    }
  }

  /// The same for two streams at once, some sequences at a time.
  /// - Parameter original: the hidden states of the original stream in front of the block, then those behind it.
  package func observe(
    _ block: BlockWorkspace, hidden: Matrix, original: inout Matrix, sequenceLength: Int, observer: CrossObserver
  ) {
    let pass = observingPass(block, observer)
    for rows in groups(of: hidden, sequenceLength: sequenceLength) {
      observer.stream = .original
      var part = original.rows(rows)
      runBlock(block, hidden: &part, sequenceLength: sequenceLength, observer: observer)
      original.values.replaceSubrange(rows.lowerBound * original.columns..<rows.upperBound * original.columns, with: part.values)
      observer.stream = .quantized
      part = hidden.rows(rows)
      run(pass, hidden: &part, sequenceLength: sequenceLength)
    }
  }

  private func observingPass(_ block: BlockWorkspace, _ observer: any SiteObserver) -> BlockPass {
    let pass = BlockPass(block, parallel: parallel, observer: observer)
    pass.onlyObserves = true
    return pass
  }

  /// Rows of whole sequences that are run together.
  private func groups(of hidden: Matrix, sequenceLength: Int) -> [Range<Int>] {
    let group = groupTokens(sequenceLength)
    return stride(from: 0, to: hidden.rows, by: group).map { $0..<min(hidden.rows, $0 + group) }
  }

  /// Tokens of the whole sequences that are run together.
  func groupTokens(_ sequenceLength: Int) -> Int {
    max(1, BlockPass.chunkTokens / max(1, sequenceLength)) * max(1, sequenceLength)
  }
}
