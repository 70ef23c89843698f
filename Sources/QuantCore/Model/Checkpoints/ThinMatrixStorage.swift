/// Thin matrices as a tensor of an adapter: one, or a stack with one for each expert.
struct ThinMatrixStorage: TensorStorage {
  /// nil: zeros, for an expert that an adapter does not change.
  let matrices: [ThinMatrix?]
  let channelCount: Int
  /// The largest rank; matrices of lower rank are padded with zeros.
  let rank: Int
  let ranksFirst: Bool
  /// The factor that the values of each are multiplied by.
  let factors: [Double]

  /// The stored type, unless a factor would round the values.
  var schemeName: String {
    let isExact = factors.allSatisfy { $0 == 0 || $0.significand == 1 }
    return isExact ? matrices.lazy.compactMap { $0?.schemeName }.first ?? "f32" : "f32"
  }
  var byteCount: Int { matrices.count * channelCount * rank * ((ElementType(schemeName: schemeName) ?? .f32).bitCount / 8) }
  var isNumeric: Bool { true }
  var verbatim: ByteView? { nil }

  private var rowsPerMatrix: Int { ranksFirst ? rank : channelCount }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    destination.update(repeating: 0, count: rows.count * rowLength)
    for (place, row) in rows.enumerated() {
      let index = row / rowsPerMatrix, local = row % rowsPerMatrix
      guard let matrix = matrices[index] else { continue }
      let values =
        if ranksFirst {
          local < matrix.rank ? matrix.values(rank: local) : []
        } else {
          matrix.values(channels: local..<local + 1)
        }
      for (column, value) in values.enumerated() { destination[place * rowLength + column] = Float(Double(value) * factors[index]) }
    }
  }
}

extension LowRankUpdate {
  /// A as a tensor of two dimensions.
  /// - Parameter ranksFirst: whether the channels are its last dimension.
  public func inputs(named name: String, ranksFirst: Bool) -> CheckpointTensor {
    LowRankUpdate.tensor(name, [inputs], ranksFirst: ranksFirst, factors: [1], isStack: false)
  }

  /// B as a tensor of two dimensions, scaled so that a client that multiplies the product by `readerScale` adds the same update.
  public func outputs(named name: String, ranksFirst: Bool, readerScale: Double) -> CheckpointTensor {
    LowRankUpdate.tensor(name, [outputs], ranksFirst: ranksFirst, factors: [scale / readerScale], isStack: false)
  }

  /// The updates of a stack of experts as two tensors of three dimensions, `[experts, rank, inputs]` and `[experts, outputs, rank]`.
  /// - Parameters:
  ///   - updates: one per expert; nil: the adapter does not change it.
  ///   - readerScale: the factor that a client multiplies products of a rank by.
  public static func stack(
    _ updates: [LowRankUpdate?], inputs inputsName: String, outputs outputsName: String, readerScale: (Int) -> Double
  ) -> (inputs: CheckpointTensor, outputs: CheckpointTensor) {
    let scale = readerScale(updates.reduce(0) { max($0, $1?.rank ?? 0) })
    return (
      tensor(inputsName, updates.map { $0?.inputs }, ranksFirst: true, factors: updates.map { _ in 1 }, isStack: true),
      tensor(outputsName, updates.map { $0?.outputs }, ranksFirst: false, factors: updates.map { ($0?.scale ?? 0) / scale }, isStack: true)
    )
  }

  private static func tensor(
    _ name: String, _ matrices: [ThinMatrix?], ranksFirst: Bool, factors: [Double], isStack: Bool
  ) -> CheckpointTensor {
    if !isStack, factors == [1], let stored = matrices[0]?.verbatim(ranksFirst: ranksFirst) {
      return CheckpointTensor(name: name, shape: stored.shape, storage: stored.storage)
    }
    let known = matrices.compactMap { $0 }
    let channels = known.first?.channelCount ?? 0, rank = known.reduce(0) { max($0, $1.rank) }
    let shape = ranksFirst ? [rank, channels] : [channels, rank]
    return CheckpointTensor(
      name: name, shape: isStack ? [matrices.count] + shape : shape,
      storage: ThinMatrixStorage(matrices: matrices, channelCount: channels, rank: rank, ranksFirst: ranksFirst, factors: factors))
  }
}
