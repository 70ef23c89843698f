/// The adapter that a plan writes with its output, for a method that corrects what rounding lost.
public struct PlannedAdapter: Sendable {
  public let format: any AdapterFormat.Type
  /// Name of the folder in the output, or of the file beside it.
  public let name: String
  let shape: CorrectionShape
}

/// Adds an adapter to a plan: two tensors for each rounded matrix of the blocks, in files that are part of the output.
struct CorrectionPlanning {
  let request: ConversionRequest
  let target: Target
  let source: Checkpoint
  /// Nil if no family knows the model.
  let model: ModelDescription?
  let method: any QuantizationMethod
  let shape: CorrectionShape

  /// Nil if no method corrects.
  init?(_ request: ConversionRequest, _ chain: MethodChain, target: Target, source: Checkpoint, model: ModelDescription?) {
    guard let method = chain.methods.corrector, let shape = method.correction else { return nil }
    self.request = request
    self.target = target
    self.source = source
    self.model = model
    self.method = method
    self.shape = shape
  }

  /// An adapter, its tensors as they follow those of the output, and where the bytes of both go.
  typealias Result = (adapter: PlannedAdapter, tensors: [PlannedTensor], layout: OutputLayout)

  /// - Parameters:
  ///   - tensors: of the output.
  ///   - layout: of the output alone.
  /// - Throws: `Failure` if nothing can be corrected, or the output's clients have no place for an adapter.
  func callAsFunction(
    _ tensors: [PlannedTensor], _ layout: OutputLayout, provenance: [(key: String, value: String)], warnings: inout [String]
  ) throws -> Result {
    let format = try adapterFormat()
    let corrected = tensors.indices.filter { isCorrectable(tensors[$0], format) }
    let rounded = tensors.indices.filter { tensors[$0].isRounded && tensors[$0].block != nil }
    guard !corrected.isEmpty else {
      throw Failure(
        .usage, "method.unused",
        "method '\(type(of: method).id)' has nothing to correct: no matrix of a block is rounded whose errors an adapter can hold",
        remedy: "Give a \(setting: "scheme") that quantizes (\(command: "plugins") lists them), or leave the method out.")
    }
    if corrected.count < rounded.count, let first = rounded.first(where: { !corrected.contains($0) }) {
      warnings.append(
        "\(rounded.count - corrected.count) of \(rounded.count) rounded matrices, such as '\(tensors[first].name)', are not corrected: "
          + "clients apply no adapter to them")
    }
    var adapter = LowRankAdapter(naming: format.naming, updates: [], alpha: Double(shape.rank), baseModel: Files.stem(of: request.output))
    var planned: [PlannedTensor] = []
    for index in corrected {
      let updates = LowRankFactors.updates(nil, of: tensors[index], rank: shape.rank)
      adapter.updates += updates
      for tensor in try format.tensors(of: adapter.with(updates)) {
        planned.append(try seal(tensor, format, PlannedCorrection(target: index, block: tensors[index].block)))
      }
    }
    let name = format.companionName(of: request.output)
    // It is made, and has nothing to copy from the source.
    var held = Checkpoint(
      path: source.path, format: "", tensors: [], naming: format.naming, configuration: nil, companionFolder: source.companionFolder,
      files: [])
    held.adapter = adapter
    let own = try format.layout(
      OutputRequest(
        source: held, model: model, tokenizer: nil, tensors: planned, presetName: planned.first?.scheme.name ?? "f16",
        provenance: provenance, targetName: format.isFolder ? Files.stem(of: request.output) : Files.stem(of: name)))
    let whole = layout.holding(own, named: name, ownName: Files.lastComponent(request.output), firstTensor: tensors.count)
    return (PlannedAdapter(format: format, name: name, shape: shape), planned, whole)
  }

  /// The format of adapters that clients of the output read.
  private func adapterFormat() throws(Failure) -> any AdapterFormat.Type {
    let formats = target.registry.formats.compactMap { $0 as? any AdapterFormat.Type }
    let format = formats.first { $0.naming == target.naming && $0.isFolder == target.format.isFolder }
    guard let format else {
      throw Failure(
        .unsupported, "adapter.beside", "no adapter can be stored with an output of format '\(target.format.id)'", file: request.output,
        remedy: "Write \(target.registry.outputs { $0.contents.contains(.model) && $0.id != target.format.id }), or leave method "
          + "'\(type(of: method).id)' out.")
    }
    return format
  }

  /// Whether clients add an adapter to what they compute with a tensor.
  private func isCorrectable(_ tensor: PlannedTensor, _ format: any AdapterFormat.Type) -> Bool {
    guard tensor.isRounded, tensor.block != nil, !tensor.isVector, !tensor.isTransposed, tensor.pieces.allSatisfy({ $0.shape.count == 2 })
    else { return false }
    let isOfExperts = tensor.id?.expert != nil
    return tensor.shape.count == 2 && (!isOfExperts || format.holdsStacks) || tensor.shape.count == 3 && isOfExperts && format.holdsStacks
  }

  private func seal(
    _ tensor: CheckpointTensor, _ format: any AdapterFormat.Type, _ correction: PlannedCorrection
  ) throws -> PlannedTensor {
    let registry = target.registry
    guard let name = format.scheme(bits: shape.bits, columns: tensor.rowLength) else {
      throw Failure(
        .unsupported, "adapter.bits", "an adapter of format '\(format.id)' cannot hold numbers of \(shape.bits) bits", file: request.output,
        remedy: "Give the method '\(type(of: method).id)' bits=16.")
    }
    let scheme = try registry.scheme(name, modelType: .f16)
    guard let packing = registry.packings(of: format).first(where: { $0.holds(scheme.grid) }) else {
      throw Failure(
        .internalError, "adapter.packing", "no packing of format '\(format.id)' holds \(name)", file: request.output, tensor: tensor.name)
    }
    var planned = PlannedTensor(
      sourceName: "", name: tensor.name, shape: tensor.shape, scheme: scheme, packing: packing,
      parts: packing.parts(name: tensor.name, shape: tensor.shape, scheme: scheme), note: "correction", isCopy: false)
    planned.correction = correction
    return planned
  }
}

extension PlannedTensor {
  /// Whether weights are rounded to codes.
  var isRounded: Bool { scheme.grid.kind != .float && !isCopy && repacking == nil && correction == nil }
}

extension LowRankAdapter {
  /// The same adapter with other updates.
  func with(_ updates: [LowRankUpdate]) -> LowRankAdapter {
    LowRankAdapter(naming: naming, updates: updates, alpha: alpha, baseModel: baseModel)
  }
}

extension LowRankFactors {
  /// What an adapter adds to a tensor of the output: one update, or one for each matrix of a stack.
  /// - Parameter factors: one for each matrix; nil: not known yet, only their shapes are.
  static func updates(_ factors: [LowRankFactors]?, of tensor: PlannedTensor, rank: Int) -> [LowRankUpdate] {
    let (rows, columns) = tensor.matrixShape
    let isStack = tensor.shape.count == 3
    return (0..<tensor.matrixCount).map { index in
      LowRankUpdate(
        target: tensor.name, outputs: thin(factors?[index].outputs, shape: [rows, rank], ranksFirst: false),
        inputs: thin(factors?[index].inputs, shape: [rank, columns], ranksFirst: true), scale: 1, firstOutput: index * rows,
        stackCount: isStack ? tensor.matrixCount : nil)
    }
  }

  private static func thin(_ matrix: Matrix?, shape: [Int], ranksFirst: Bool) -> ThinMatrix {
    let bytes = ByteView(matrix.map { NumberConversion.bytes(of: $0.values, as: .f32) } ?? [])
    return ThinMatrix(CheckpointTensor(name: "", shape: shape, storage: PlainStorage(.f32, bytes)), ranksFirst: ranksFirst)
  }
}

extension PlannedTensor {
  /// Number of matrices in a stack; 1 for a single matrix.
  var matrixCount: Int { shape.dropLast(2).reduce(1, *) }
  /// Rows and columns of each matrix.
  var matrixShape: (rows: Int, columns: Int) { (shape.dropLast().last ?? 1, shape.last ?? 1) }
}
