extension Engine {
  /// Passes the inputs of a block's linear layers to an observer. The hidden states do not change, and nothing is computed after
  /// the last site.
  /// - Parameters:
  ///   - hidden: `[sequences * sequenceLength, stateWidth]` before the block.
  package func observe(_ block: BlockWorkspace, hidden: Matrix, sequenceLength: Int, observer: any SiteObserver) {
    let pass = observingPass(block, observer)
    for rows in groups(of: hidden, sequenceLength: sequenceLength) {
      var part = hidden.rows(rows)
      run(pass, hidden: &part, sequenceLength: sequenceLength)
    }
  }

  /// The same for both streams, some sequences at a time.
  /// - Parameters:
  ///   - original: the hidden states of the original stream before the block; replaced by those after it.
  ///   - quantized: runs the other stream, whose hidden states are `hidden`.
  package func observe(
    _ block: BlockWorkspace, original: inout Matrix, hidden: Matrix, by quantized: Engine, sequenceLength: Int, observer: CrossObserver
  ) {
    let pass = quantized.observingPass(block, observer)
    for rows in groups(of: hidden, sequenceLength: sequenceLength) {
      observer.stream = .original
      var part = original.rows(rows)
      runBlock(block, hidden: &part, sequenceLength: sequenceLength, observer: observer)
      original.values.replaceSubrange(rows.lowerBound * original.columns..<rows.upperBound * original.columns, with: part.values)
      observer.stream = .quantized
      part = hidden.rows(rows)
      quantized.run(pass, hidden: &part, sequenceLength: sequenceLength)
    }
  }

  /// Passes what the output matrix reads to an observer.
  /// - Parameters:
  ///   - hidden: hidden states after the last block.
  ///   - original: those of the original stream, if the two are compared.
  package func observeHead(_ hidden: Matrix, original: Matrix? = nil, observer: CrossObserver) {
    for rows in stride(from: 0, to: hidden.rows, by: BlockPass.chunkTokens).map({ $0..<min(hidden.rows, $0 + BlockPass.chunkTokens) }) {
      observer.stream = .original
      if let original { headInputs(original.rows(rows)).withPanel { observer.observe(.head, $0) } }
      observer.stream = .quantized
      headInputs(hidden.rows(rows)).withPanel { observer.observe(.head, $0) }
    }
  }

  private func observingPass(_ block: BlockWorkspace, _ observer: any SiteObserver) -> BlockPass {
    let pass = pass(block, observer: observer, nil)
    pass.onlyObserves = true
    return pass
  }

  /// Ranges of rows of whole sequences that run together.
  private func groups(of hidden: Matrix, sequenceLength: Int) -> [Range<Int>] {
    let group = groupTokens(sequenceLength)
    return stride(from: 0, to: hidden.rows, by: group).map { $0..<min(hidden.rows, $0 + group) }
  }

  /// Number of tokens of the whole sequences that run together.
  func groupTokens(_ sequenceLength: Int) -> Int {
    max(1, BlockPass.chunkTokens / max(1, sequenceLength)) * max(1, sequenceLength)
  }
}
