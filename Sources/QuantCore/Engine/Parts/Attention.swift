/// Causal attention of grouped heads: every token mixes the values of the tokens before it and its own, by how well their keys fit its
/// query.
///
/// Queries and keys are normalised and turned to their positions first, where there are norms and a rotary embedding. Scores are
/// scaled, capped, biased by distance and cut to a window, in this order, each where the part says so.
public struct Attention: Part {
  /// Channels of the residual stream.
  public var width: Int
  /// Query heads.
  public var headCount: Int
  /// Key-value heads; each serves as many query heads.
  public var keyValueHeadCount: Int
  /// Dimension of one head.
  public var headSize: Int
  /// How queries and keys are turned to their positions; nil: they are not.
  public var rope: Rope?
  /// Over queries and over keys, before they are turned: over each head where the gain is as long as one, else over all heads together.
  public var queryNorm: Norm?
  public var keyNorm: Norm?
  /// Tokens that a position sees, its own included; nil for all.
  public var window: Int?
  /// Whether a bias that falls linearly with the distance is added to scores, with a slope for each head (ALiBi).
  public var hasLinearBias = false
  /// Whether each head has a score that takes part in the softmax and stands for no token.
  public var hasSinks = false
  /// What scores stay below: each becomes `cap · tanh(score / cap)`.
  public var scoreCap: Float?
  /// What products of queries and keys are multiplied by; nil: `1/√headSize`.
  public var scale: Float?
  /// Elements of the gains of the head norms, where they are not those of one head.
  public var queryNormSize: Int?
  public var keyNormSize: Int?

  public init(width: Int, headCount: Int, keyValueHeadCount: Int, headSize: Int, rope: Rope? = nil) {
    self.width = width
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount
    self.headSize = headSize
    self.rope = rope
  }

  private var queryWidth: Int { headCount * headSize }
  private var keyWidth: Int { keyValueHeadCount * headSize }

  public var tensors: [PartTensor] {
    var tensors = [
      PartTensor(.query, [queryWidth, width], .attention), PartTensor(.key, [keyWidth, width], .attention),
      PartTensor(.value, [keyWidth, width], .attention),
    ]
    if let queryNorm, queryNorm.hasGain { tensors.append(PartTensor(queryNorm.role, [queryNormSize ?? headSize], .norm)) }
    if let keyNorm, keyNorm.hasGain { tensors.append(PartTensor(keyNorm.role, [keyNormSize ?? headSize], .norm)) }
    if hasSinks { tensors.append(PartTensor(.sinks, [headCount], .vector)) }
    return tensors + [PartTensor(.attentionOutput, [width, queryWidth], .attention)]
  }

  public var linears: [(layer: Layer, input: Site)] {
    [(.query, .attentionInput), (.key, .attentionInput), (.value, .attentionInput), (.attentionOutput, .attentionOutput)]
  }

  public var inputSites: [Site] { [.attentionInput] }

  /// What is mixed are values, so that a scaling of the mixture's channels can be one of the values'.
  public var folds: [Fold] {
    [
      Fold(
        site: .attentionOutput, producer: .valueRows(.value, queryHeads: headCount, keyValueHeads: keyValueHeadCount), produced: .values)
    ]
  }

  public var caches: [CacheSite] { [CacheSite(.keys, headSize: headSize), CacheSite(.values, headSize: headSize)] }
  public var mixesTokens: Bool { true }

  // MARK: Forward pass

  public func run(_ input: Matrix, in context: any BlockContext) -> Matrix? {
    let (queries, newKeys, newValues) = project(input, context)
    var (keys, values) = (newKeys.values, newValues.values)
    if context.cache != nil {
      context.cache?.append(keys, to: Site.keys.name)
      context.cache?.append(values, to: Site.values.name)
      keys = context.cache?[Site.keys.name] ?? []
      values = context.cache?[Site.values.name] ?? []
    }
    var mixed = AttentionKernel(self, sinks: context.vector(.sinks)).mix(queries, keys, values, context.sequences, parallel: context.parallel)
    context.pass(&mixed, through: .attentionOutput)
    return context.linear(.attentionOutput, mixed)
  }

  /// Queries and keys, turned to their positions, and values.
  private func project(_ input: Matrix, _ context: any BlockContext) -> (queries: Matrix, keys: Matrix, values: Matrix) {
    var input = input
    context.pass(&input, through: .attentionInput)
    var (queries, keys, values) = (context.linear(.query, input), context.linear(.key, input), context.linear(.value, input))
    let rows = context.sequences
    let table = rope.map { rope in
      context.remembering(RotaryTable.Key(rope: rope, positions: rows.positions)) { rope.table(positions: rows.positions) }
    }
    prepare(&queries, norm: queryNorm, table, context)
    prepare(&keys, norm: keyNorm, table, context)
    context.pass(&keys, through: .keys)
    context.pass(&values, through: .values)
    return (queries, keys, values)
  }

  /// Normalises every head where the model does, and turns it to its position.
  private func prepare(_ x: inout Matrix, norm: Norm?, _ table: RotaryTable?, _ context: any BlockContext) {
    let layer = norm.map { NormLayer($0, gain: context.vector($0.role), bias: context.vector($0.role, isBias: true)) }
    guard layer != nil || table != nil else { return }
    let size = headSize
    let normSize = layer?.width ?? headSize
    let sequences = context.sequences
    let width = x.columns
    let rows = x.rows
    x.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      context.parallel.forEachRange(rows, piece: 64) { piece in
        for row in piece {
          let heads = target.base + row * width
          if let layer {
            for start in stride(from: 0, to: width, by: normSize) { layer.normalise(heads + start, normSize, into: heads + start) }
          }
          guard let table else { continue }
          for start in stride(from: 0, to: width, by: size) { table.rotate(heads + start, position: sequences.position(row)) }
        }
      }
    }
  }
}
