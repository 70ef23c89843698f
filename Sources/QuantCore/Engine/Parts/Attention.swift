import QuantPlatform

/// Attention of grouped heads: every token mixes its own value and those of earlier tokens (in an encoder, of all tokens), weighted by
/// how well their keys match its query.
///
/// Queries and keys are first normalized and rotated to their positions, in one order or the other, if there are norms and a rotary
/// embedding. Scores are then scaled, capped, biased by distance and limited to a window, in this order, as far as the part asks for it.
public struct Attention: Part {
  /// Channels of the hidden states.
  public var width: Int
  /// Number of query heads.
  public var headCount: Int
  /// Number of key-value heads; each serves the same number of query heads.
  public var keyValueHeadCount: Int
  /// Channels of one head of queries and keys.
  public var headSize: Int
  /// Channels of one head of values; nil: as many.
  public var valueHeadSize: Int?
  /// What values are multiplied by.
  public var valueScale: Float = 1
  /// How queries and keys are rotated to their positions; nil: they are not.
  public var rope: Rope?
  /// Norms of queries and keys: over each head if the gain has the length of a head or there is none, else over all heads together.
  public var queryNorm: Norm?
  public var keyNorm: Norm?
  /// Norm of each head of the values.
  public var valueNorm: Norm?
  /// Whether values are the keys before their norm and rotation, so that there is no matrix for them.
  public var valuesAreKeys = false
  /// Which blocks use the same keys and values; nil: this one alone.
  public var sharing: Sharing?
  /// Whether queries and keys are rotated first and normalized then.
  public var rotatesBeforeNorms = false
  /// Whether a position sees only itself and earlier ones, not those after it.
  public var isCausal = true
  /// A position sees those at a distance less than this, so causal attention sees so many tokens; nil for all.
  public var window: Int?
  /// Length of the parts of a sequence of which a position sees only its own; nil: there are no such parts.
  public var chunk: Int?
  /// Whether a bias that falls linearly with the distance is added to scores, with a slope for each head (ALiBi).
  public var hasLinearBias = false
  /// Whether each head has a score that takes part in the softmax but belongs to no token.
  public var hasSinks = false
  /// The bound of scores: each becomes `cap · tanh(score / cap)`.
  public var scoreCap: Float?
  /// The factor of the products of queries and keys; nil: `1/√headSize`.
  public var scale: Float?
  /// The factor of queries that grows with their position; nil: there is none.
  public var temperature: Temperature?
  /// What the mixed values are multiplied by: a function of the product of the input with another matrix; nil: nothing.
  public var gate: Gate?
  /// The bound of queries, keys and values, which are clamped to `-clip ... clip` before anything else; nil: there is none.
  public var clip: Float?
  /// Length of the gains of the query and key norms; nil: that of one head.
  public var queryNormSize: Int?
  public var keyNormSize: Int?

  /// Keys and values that several blocks use, under a name by which these blocks know them.
  public enum Sharing: Sendable, Hashable {
    /// Later blocks use those of this one.
    case gives(String)
    /// Those of an earlier block are used. A checkpoint may still hold matrices for them, which nothing reads.
    case takes(String)
  }

  /// What multiplies the mixed values.
  public struct Gate: Sendable, Hashable {
    /// The function of the products.
    public enum Function: Sendable {
      case logistic
      /// `log(1 + exp(x))`.
      case softplus
    }

    public var function: Function
    /// Whether all channels of a head have one product.
    public var isOfHeads: Bool

    public init(_ function: Function = .logistic, isOfHeads: Bool = false) {
      self.function = function
      self.isOfHeads = isOfHeads
    }

    func factor(_ product: Float) -> Float {
      switch function {
      case .logistic: product.sigmoid
      case .softplus: product.softplus
      }
    }
  }

  /// The factor of queries by position, which sharpens the attention of long texts: `1 + scale · ln(1 + ⌊(position + offset) / length⌋)`.
  public struct Temperature: Sendable, Hashable {
    public var scale: Double
    /// Tokens for which the factor is the same.
    public var length: Int
    /// What is added to a position.
    public var offset: Int

    public init(scale: Double, length: Int, offset: Int = 0) {
      self.scale = scale
      self.length = length
      self.offset = offset
    }

    /// The factor of the query of a position.
    public func factor(_ position: Int) -> Float { Float(1 + scale * log(Double(1 + (position + offset) / max(1, length)))) }
  }

  public init(width: Int, headCount: Int, keyValueHeadCount: Int, headSize: Int, rope: Rope? = nil) {
    self.width = width
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount
    self.headSize = headSize
    self.rope = rope
  }

  private var queryWidth: Int { headCount * headSize }
  private var keyWidth: Int { keyValueHeadCount * headSize }
  var valueSize: Int { valueHeadSize ?? headSize }
  private var valueWidth: Int { keyValueHeadCount * valueSize }
  private var mixedWidth: Int { headCount * valueSize }

  private var takesKeys: Bool { if case .takes = sharing { true } else { false } }

  /// What is carried under the name of shared keys and values.
  private func shared(_ name: String) -> (keys: CarriedValue, values: CarriedValue) {
    (CarriedValue("keys." + name, width: keyWidth), CarriedValue("values." + name, width: valueWidth))
  }

  public var carried: [CarriedValue] {
    guard case .gives(let name) = sharing else { return [] }
    return [shared(name).keys, shared(name).values]
  }

  public var tensors: [PartTensor] {
    var tensors = [
      PartTensor(.query, [queryWidth, width], .attention), PartTensor(.key, [keyWidth, width], .attention, isOptional: takesKeys),
    ]
    if !valuesAreKeys { tensors.append(PartTensor(.value, [valueWidth, width], .attention, isOptional: takesKeys)) }
    if let gate { tensors.append(PartTensor(.attentionGate, [gate.isOfHeads ? headCount : mixedWidth, width], .attention)) }
    if let queryNorm, queryNorm.hasGain { tensors.append(PartTensor(queryNorm.role, [queryNormSize ?? headSize], .norm)) }
    if let keyNorm, keyNorm.hasGain { tensors.append(PartTensor(keyNorm.role, [keyNormSize ?? headSize], .norm, isOptional: takesKeys)) }
    if let valueNorm, valueNorm.hasGain { tensors.append(PartTensor(valueNorm.role, [valueSize], .norm, isOptional: takesKeys)) }
    if hasSinks { tensors.append(PartTensor(.sinks, [headCount], .vector)) }
    return tensors + [PartTensor(.attentionOutput, [width, mixedWidth], .attention)]
  }

  public var linears: [(layer: Layer, input: Site)] {
    [(.query, .attentionInput)] + (takesKeys ? [] : [(.key, .attentionInput)])
      + (takesKeys || valuesAreKeys ? [] : [(.value, .attentionInput)]) + (gate != nil ? [(Layer(.attentionGate), .attentionInput)] : [])
      + [
        (.attentionOutput, .attentionOutput)
      ]
  }

  public var inputSites: [Site] { [.attentionInput] }

  /// The output mixes values channel by channel, so its channels can be scaled by scaling those of the values.
  public var folds: [Fold] {
    // Values that are clamped, normalized, or used by other blocks too cannot be scaled.
    if clip != nil || valueNorm != nil || valuesAreKeys || sharing != nil { return [] }
    return [
      Fold(
        site: .attentionOutput, producer: .valueRows(.value, queryHeads: headCount, keyValueHeads: keyValueHeadCount), produced: .values)
    ]
  }

  public var caches: [CacheSite] {
    guard isCausal, !takesKeys else { return [] }
    let keys = CacheSite(.keys, headSize: headSize, unrotated: rope == nil ? nil : .unrotatedKeys)
    return [keys, CacheSite(.values, headSize: valueSize)]
  }
  public var mixesTokens: Bool { true }
  public var lengthLimits: [Int] { [rope?.lengthLimit].compactMap { $0 } }

  // MARK: Forward pass

  public func run(_ input: Matrix, in context: any BlockContext) -> Matrix? {
    var input = input
    context.pass(&input, through: .attentionInput)
    let (queries, newKeys, newValues, products) = project(input, context)
    if context.observesAttendedInputs, context.cache == nil, !takesKeys, !valuesAreKeys {
      passAttended(input, queries, newKeys, context)
    }
    var (keys, values) = (newKeys.values, newValues.values)
    if context.cache != nil {
      context.cache?.append(keys, to: Site.keys.name)
      context.cache?.append(values, to: Site.values.name)
      keys = context.cache?[Site.keys.name] ?? []
      values = context.cache?[Site.values.name] ?? []
    }
    var mixed = AttentionKernel(self, sinks: context.vector(.sinks)).mix(
      queries, keys, values, context.sequences, parallel: context.parallel)
    if let gate, let products {
      let size = gate.isOfHeads ? valueSize : 1
      for i in mixed.values.indices { mixed.values[i] *= gate.factor(products.values[i / size]) }
    }
    context.pass(&mixed, through: .attentionOutput)
    return context.linear(.attentionOutput, mixed)
  }

  /// Passes the inputs as each head mixes them: those whose errors the values' matrix makes visible.
  private func passAttended(_ input: Matrix, _ queries: Matrix, _ keys: Matrix, _ context: any BlockContext) {
    let kernel = AttentionKernel(self, sinks: context.vector(.sinks))
    let served = headCount / max(1, keyValueHeadCount)
    for head in 0..<headCount {
      var mixed = kernel.head(head, valueSize: width).mix(
        queries.part(columns: head * headSize..<(head + 1) * headSize),
        keys.part(columns: head / served * headSize..<(head / served + 1) * headSize).values, input.values, context.sequences,
        parallel: context.parallel)
      context.pass(&mixed, through: .attendedInput)
    }
  }

  /// Queries and keys, normalized and rotated to their positions, values, and the products of the gate.
  private func project(
    _ input: Matrix, _ context: any BlockContext
  ) -> (queries: Matrix, keys: Matrix, values: Matrix, products: Matrix?) {
    var queries = context.linear(.query, input)
    let products = gate == nil ? nil : context.linear(Layer(.attentionGate), input)
    let rows = context.sequences
    let table = rope.map { rope in
      context.remembering(RotaryTable.Key(rope: rope, positions: rows.positions)) { rope.table(positions: rows.positions) }
    }
    if case .takes(let name) = sharing {
      queries.clamp(to: clip)
      prepare(&queries, norm: queryNorm, table, temperature, context)
      return (queries, context.carried(shared(name).keys), context.carried(shared(name).values), products)
    }
    var keys = context.linear(.key, input)
    var values = valuesAreKeys ? keys : context.linear(.value, input)
    queries.clamp(to: clip)
    keys.clamp(to: clip)
    values.clamp(to: clip)
    if valueScale != 1 { values.scale(rows: 0..<values.rows, by: valueScale) }
    prepare(&queries, norm: queryNorm, table, temperature, context)
    prepare(&keys, norm: rotatesBeforeNorms ? nil : keyNorm, nil, nil, context)
    if table != nil { context.pass(&keys, through: .unrotatedKeys) }
    prepare(&keys, norm: rotatesBeforeNorms ? keyNorm : nil, table, nil, context)
    prepare(&values, norm: valueNorm, nil, nil, size: valueSize, context)
    context.pass(&keys, through: .keys)
    context.pass(&values, through: .values)
    if case .gives(let name) = sharing {
      context.carry(keys, as: shared(name).keys)
      context.carry(values, as: shared(name).values)
    }
    return (queries, keys, values, products)
  }

  /// Normalizes queries or keys if there is a norm, rotates every head to its position, and multiplies by the factor of the position.
  private func prepare(
    _ x: inout Matrix, norm: Norm?, _ table: RotaryTable?, _ temperature: Temperature?, size: Int? = nil, _ context: any BlockContext
  ) {
    let size = size ?? headSize
    let layer = norm.map { NormLayer($0, gain: context.vector($0.role), bias: context.vector($0.role, isBias: true), width: size) }
    guard layer != nil || table != nil || temperature != nil else { return }
    let rotatesFirst = rotatesBeforeNorms
    let normSize = layer?.width ?? size
    let sequences = context.sequences
    let width = x.columns
    let rows = x.rows
    x.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      context.parallel.forEachRange(rows, piece: 64) { piece in
        for row in piece {
          let heads = target.base + row * width
          func rotate() {
            guard let table else { return }
            for start in stride(from: 0, to: width, by: size) { table.rotate(heads + start, position: sequences.position(row)) }
          }
          if rotatesFirst { rotate() }
          if let layer {
            for start in stride(from: 0, to: width, by: normSize) { layer.normalise(heads + start, normSize, into: heads + start) }
          }
          if !rotatesFirst { rotate() }
          if let temperature {
            let factor = temperature.factor(sequences.position(row))
            for c in 0..<width { heads[c] *= factor }
          }
        }
      }
    }
  }
}

extension Matrix {
  /// A copy of some columns.
  fileprivate func part(columns range: Range<Int>) -> Matrix {
    Matrix(
      rows: rows, columns: range.count,
      values: (0..<rows).flatMap { values[$0 * columns + range.lowerBound..<$0 * columns + range.upperBound] })
  }

  /// Clamps every value to `-bound ... bound`, if there is a bound.
  fileprivate mutating func clamp(to bound: Float?) {
    guard let bound else { return }
    for c in values.indices { values[c] = min(max(values[c], -bound), bound) }
  }
}

extension TensorRole {
  /// Makes what multiplies the mixed values.
  public static let attentionGate = TensorRole("attentionGate")
}
