/// What a person should know of the schemes that were chosen: how many tensors did not get what was asked for the whole, and why.
struct ChoiceSummary {
  let drafts: [ChosenDraft]
  /// Name of the scheme or preset for the whole model, or `keep`.
  let wanted: String
  let source: Checkpoint
  let model: ModelDescription?
  let target: Target

  /// Refuses to write a model as it is where codes were asked for.
  /// - Throws: `Failure` `scheme.no-layer`, with the schemes that would fit.
  func check(path: String) throws(Failure) {
    guard quantized.isEmpty, target.storesCodes(wanted, modelType: source.modelType) else { return }
    guard let first = left.first, let note = first.note else {
      throw Failure(
        .unsupported, "scheme.no-layer", "no tensor is known to be a linear layer that \(wanted) applies to", file: path,
        remedy: "Name the layers with \(setting: "tensor") 'PATTERN=SCHEME', or give \(setting: "scheme") bf16, f16 or f32.")
    }
    let others = left.map { Set(fitting($0)) }.reduce(Set(fitting(first))) { $0.intersection($1) }
    let remedy: Remedy =
      others.isEmpty
      ? "No common scheme fits them all; give \(setting: "scheme") bf16, f16 or f32."
      : "Give another \(setting: "scheme"); these fit: \(fitting(first).filter(others.contains).joined(separator: ", "))."
    throw Failure(
      .unsupported, "scheme.no-layer", "\(wanted) fits none of the \(left.count) layers, such as '\(first.name)' (\(note))", file: path,
      remedy: remedy)
  }

  var warnings: [String] { [unquantized, fallbacks, staying].compactMap { $0 } }

  private var quantized: [ChosenDraft] { drafts.filter { $0.scheme.map { $0.grid.kind != .float } ?? false } }
  /// Those that the scheme for the whole model does not fit, and no other scheme of codes took its place.
  private var left: [ChosenDraft] { drafts.filter { $0.note != nil && $0.scheme?.grid.kind == .float } }

  private func fitting(_ draft: ChosenDraft) -> [String] { target.fitting(draft.rowLength).filter { $0 != "f16" } }

  // MARK: What does not fit

  /// Tensors that cannot be stored as asked, with what would fit them.
  private var unquantized: String? {
    guard let first = left.first, let note = first.note else { return nil }
    let others = fitting(first)
    return "\(left.count) of \(drafts.count) tensors are left unquantized, such as '\(first.name)' (\(note))"
      + (others.isEmpty ? "" : "; these schemes fit: " + others.joined(separator: ", "))
  }

  /// Tensors that are stored in other codes than those asked for.
  private var fallbacks: String? {
    let others = quantized.filter { $0.note != nil }
    guard let first = others.first, let note = first.note, let scheme = first.scheme else { return nil }
    return "\(others.count) of \(drafts.count) tensors, with \(share(others)) of the weights, fall back to another scheme, such as "
      + "'\(first.name)' to \(scheme.name) (\(note))"
  }

  // MARK: What stays

  /// Why a matrix is stored as it is.
  private enum Cause: CaseIterable {
    case stack
    case otherPart
    case unknown
  }

  /// What stays as it is although it may be most of the model, and how much becomes codes.
  private var staying: String? {
    guard wanted != Planner.keepName, !target.format.knowsLayersByName, !quantized.isEmpty else { return nil }
    let groups = Dictionary(grouping: drafts) { cause($0) }
    let clauses = Cause.allCases.compactMap { cause in groups[cause].map { describe($0, cause) } }
    guard !clauses.isEmpty else { return nil }
    var bits = 0.0
    for draft in drafts { bits += draft.weights * (draft.scheme?.bitsPerWeight(columns: draft.rowLength) ?? 32) }
    let mean = (bits / max(1, ChoiceSummary.weights(drafts)) * 10).rounded() / 10
    return clauses.joined(separator: "; ") + "; \(share(quantized)) of the weights are quantized, which gives \(mean) bits per weight"
  }

  private func describe(_ left: [ChosenDraft], _ cause: Cause) -> String {
    let isOne = left.count == 1, example = left.first.map { ", such as '\($0.name)'" } ?? ""
    let what =
      switch cause {
      case .stack: "\(left.count) \(isOne ? "stack" : "stacks") of experts"
      case .otherPart: "\(left.count) \(isOne ? "tensor" : "tensors") outside of the language model"
      case .unknown: "\(left.count) \(isOne ? "tensor" : "tensors")"
      }
    let why =
      switch cause {
      case .stack: " because clients unpack experts only from tensors of their own"
      case .otherPart: ""
      case .unknown:
        " because nothing says that \(isOne ? "it is a linear layer" : "they are linear layers") of the language model"
      }
    return "\(what) \(isOne ? "stays" : "stay") as stored\(why)\(example)"
  }

  /// Nil for what is quantized, and for what everybody expects to stay: vectors, the embedding and the output matrix, and what a family
  /// knows as no linear layer.
  private func cause(_ draft: ChosenDraft) -> Cause? {
    guard let scheme = draft.scheme, scheme.grid.kind == .float, draft.shape.count >= 2, draft.note == nil,
      target.format.outerRole(draft.name, id: draft.id) == nil
    else { return nil }
    if let id = draft.id { return id.expert != nil && draft.shape.count == 3 && draft.isQuantizable ? .stack : nil }
    if model?.isOfOtherPart(draft.name, source.naming) == true { return .otherPart }
    guard draft.isQuantizable else { return nil }
    var tensor = PresetTensor(name: draft.name, shape: draft.shape, isQuantizable: true, id: nil)
    tensor.configuration = source.configuration
    if tensor.isBlockLinear(of: model) { return nil }
    // Experts in one tensor are a parameter of the module that holds them, and have no `.weight`.
    let isStack = draft.name.contains("experts.") && !draft.name.hasSuffix(".weight") && !draft.name.hasSuffix("bias")
    return isStack ? .stack : .unknown
  }

  /// In percent of all weights.
  private func share(_ part: [ChosenDraft]) -> String {
    "\(Int((ChoiceSummary.weights(part) / max(1, ChoiceSummary.weights(drafts)) * 100).rounded())) %"
  }

  private static func weights(_ drafts: [ChosenDraft]) -> Double { drafts.reduce(0) { $0 + $1.weights } }
}

extension ChosenDraft {
  /// A double, because shapes come from a file.
  fileprivate var weights: Double { draft.shape.reduce(1.0) { $0 * Double($1) } }
}
