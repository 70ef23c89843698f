/// A sealed plan: every output tensor with name, shape, scheme, size and offset. The converter must not deviate from it.
public struct ConversionPlan: Sendable {
  /// What was asked for.
  public var request: ConversionRequest
  /// What is converted.
  public var source: Checkpoint
  /// The source as a model to compute with: tensors that the output keeps separate are put together.
  public var reference: Checkpoint
  /// The model, if a family knows it.
  public var model: ModelDescription?
  /// The format of the output.
  public var format: any CheckpointFormat.Type
  /// The methods, in the order in which they apply.
  public var methods: [any QuantizationMethod]
  /// Output tensors, in order.
  public var tensors: [PlannedTensor]
  /// Files and offsets.
  public var layout: OutputLayout
  /// The tokenized calibration text, if anything is observed; else nil.
  public var calibration: CalibrationWindows?
  /// Statistics that were collected earlier, so that the conversion need not run the model; else nil.
  public var statistics: StoredStatistics?
  /// The adapter that is written with the output; nil if no method corrects.
  public var adapter: PlannedAdapter?
  /// How the plan met an order of a size; nil if none was given.
  public var sizes: SizeOutcome?
  /// What a person should know before the conversion.
  public var warnings: [String]

  /// What a client opens: the output, or the first of its files.
  public var mainOutput: String { layout.targets(request.output).first ?? request.output }

  /// Size of the output in bytes.
  public var totalSize: Int { layout.totalSize }

  /// Bits per weight over all tensors, with those of an adapter that corrects them.
  public var bitsPerWeight: Double {
    weightCount == 0 ? 0 : Double(tensors.reduce(0) { $0 + $1.storedBytes }) * 8 / Double(weightCount)
  }

  /// Weights of the model.
  var weightCount: Int { tensors.reduce(0) { $1.correction == nil ? $0 + $1.shape.reduce(1, *) : $0 } }

  /// Where the adapter is that belongs to the output.
  /// - Parameter main: path of the output, or of the first of its files, now or later.
  public func adapterPath(beside main: String) -> String? {
    adapter.map { Files.join(layout.isFolder ? main : Files.folder(of: main), $0.name) }
  }

  /// Indices of the tensors that correct others, by index of the corrected tensor.
  var corrections: [Int: [Int]] {
    Dictionary(grouping: tensors.indices.filter { tensors[$0].correction != nil }) { tensors[$0].correction?.target ?? -1 }
  }

  /// Estimate, from shapes, of the working memory that the conversion needs in bytes, without mapped pages of the source.
  public var memoryBytes: Int {
    let largestPiece = tensors.map { ($0.shape.last ?? 1) * $0.rowMultiple }.max() ?? 1
    let tile = max(TileSize.weights, largestPiece)
    let turned =
      tensors.map { tensor in
        max((source[tensor.sourceName]?.storage as? TransposedStack)?.workingBytes ?? 0, tensor.turnedBytes)
      }.max() ?? 0
    // A corrected matrix, its error, and what it becomes.
    let corrected = tensors.compactMap { $0.correction.map { tensors[$0.target].shape.reduce(1, *) } }.max() ?? 0
    let tiles = TileSize.threads(request.threads, tileWeights: tile) * tile * 16 + turned + 12 * corrected
    guard let calibration, let model else { return tiles }
    // For the largest block.
    var weights = [Int](repeating: 0, count: model.blocks.count)
    for tensor in model.tensors {
      if let block = tensor.id.block, weights.indices.contains(block) { weights[block] += tensor.shape.reduce(1, *) }
    }
    let gramWeights = weights.indices.map { block in
      model.sites(block).reduce(0) { sum, site in
        let grams = (requirements.contains(.gram) ? 1 : 0) + (requirements.contains(.attended) && site.site == .attentionInput ? 1 : 0)
        return sum + grams * site.channels * site.channels
      }
    }
    let largest = zip(weights, gramWeights).map { 3 * $0 + 2 * $1 }.max() ?? 0
    // The Gram matrix of the output matrix's inputs, or of the embedding.
    let outer = calibratedHead == nil && calibratedEmbedding == nil ? 0 : 2 * model.embedding.width * model.embedding.width
    let hidden = statistics == nil ? calibration.tokenCount * model.stateWidth : 0
    // Besides the states of the tokens that run together: the observed stream; for `cross` the original one too; and a copy of
    // the hidden states where a block may be observed twice.
    let isDouble =
      propagation == .quantized
      ? requirements.contains(.cross)
      : model.blocks.indices.contains { observations(block: $0).values.contains { $0.contains(.histogram) } }
    let streams = isDouble ? 3 : 2
    return tiles + 4 * (max(largest, outer) + streams * hidden)
  }

  /// Indices into the layout's placements, by tensor and part.
  var placementIndices: [[Int]] {
    var indices = tensors.map { [Int](repeating: -1, count: $0.parts.count) }
    for (index, placement) in layout.placements.enumerated() { indices[placement.tensor][placement.part] = index }
    return indices
  }

  /// The stream that methods observe: the one requested, else the quantized stream if any method asks for it.
  public var propagation: Propagation { Self.propagation(request, methods) }

  static func propagation(_ request: ConversionRequest, _ methods: [any QuantizationMethod]) -> Propagation {
    request.propagation ?? (methods.contains { type(of: $0).propagation == .quantized } ? .quantized : .original)
  }

  /// Statistics that the methods ask for.
  var requirements: Set<Statistic> { Self.requirements(of: methods, propagation) }

  static func requirements(of methods: [any QuantizationMethod], _ propagation: Propagation) -> Set<Statistic> {
    let asked = methods.reduce(into: Set<Statistic>()) { $0.formUnion($1.statistics) }
    // The original stream cannot be compared with itself.
    return propagation == .original ? asked.subtracting([.cross]) : asked
  }

  /// What is observed at each site of a block: what methods ask for, and what is needed to find stored scales.
  func observations(block: Int) -> [Site: Set<Statistic>] {
    var result: [Site: Set<Statistic>] = [:]
    if !requirements.isEmpty {
      for site in model?.graph(block)?.sites ?? [] { result[site] = requirements }
    }
    for value in tensors.compactMap(\.calibrated) where value.block == block {
      result[value.site, default: []].formUnion(value.calibrator.requirements(for: value.scheme))
    }
    return result
  }
}
