/// Decides how each tensor is stored: its packing and stored parts, and whether it is copied, repacked, or rounded.
struct Sealing {
  let request: ConversionRequest
  let source: Checkpoint
  /// Nil if no family knows the model.
  let model: ModelDescription?
  let target: Target
  /// Whether methods process the weights of blocks, so that their codes are chosen anew.
  let hasMethods: Bool
  private var stacks: Stacks { Stacks(source: source, model: model, target: target) }

  /// - Throws: `Failure` that says why a tensor cannot be stored as was chosen, and what would work.
  func callAsFunction(_ drafts: [ChosenDraft]) throws -> [PlannedTensor] { try drafts.map { try seal($0) } }

  /// A draft with what is known before a packing is chosen.
  private struct Wish {
    let draft: ChosenDraft
    /// The scheme that was asked for; a packing may store a variant of it.
    let asked: any Scheme
    /// The scheme as the preferred packing stores it.
    let scheme: any Scheme
    /// The packings that can hold it, the most preferred first.
    let holders: [any Packing]
    let moves: CodeMoves
    /// Whether a method rounds it.
    let isRounded: Bool
    /// Whether its bytes can be copied, as far as the scheme goes. A tensor that an adapter is merged into cannot be copied.
    let isCopy: Bool

    /// How the source's codes become those of a scheme; nil if weights are rounded.
    func repacking(_ scheme: any Scheme) -> Repacking? { isRounded ? nil : moves.repacking(draft.draft, scheme) }
    /// Whether weights that are already quantized are requantized.
    var isRoundedAgain: Bool {
      draft.tensor.storage.elementType?.isFloat != true && scheme.grid.kind != .float && repacking(scheme) == nil && !isCopy
    }
  }

  func seal(_ draft: ChosenDraft) throws -> PlannedTensor {
    guard let named = draft.scheme else { return try sealData(draft) }
    let wish = try wish(draft, named)
    if let copy = copy(wish) { return copy }
    if wish.isRoundedAgain && !request.allowRequantize { throw requantizes(wish) }
    var refused: (client: Client, obstacle: ClientObstacle)?
    var unfit: String?
    for packing in wish.holders {
      let scheme = packing.stored(wish.asked)
      if let reason = packing.obstacle(shape: draft.shape, scheme: scheme) {
        unfit = unfit ?? "'\(type(of: packing).id)' cannot hold \(scheme.name): \(reason)"
      } else if let client = target.client, let obstacle = obstacle(of: client, to: draft, scheme, in: packing) {
        refused = refused ?? (client, obstacle)
      } else {
        return tensor(wish, scheme, in: packing)
      }
    }
    throw refusal(of: draft, wish.scheme, refused, unfit: unfit)
  }

  /// - Throws: `Failure` if rows cannot be stored in the scheme, or codes have no scale.
  private func wish(_ draft: ChosenDraft, _ named: any Scheme) throws -> Wish {
    let asked = request.search == .best ? named.widerSearch ?? named : named
    let packings = stacks.holders(draft, among: target.packings)
    let holders = packings.filter { $0.holds($0.stored(asked).grid, inputs: draft.activations) }
    if holders.isEmpty { try stacks.check(draft) }
    let scheme = holders.first?.stored(asked) ?? asked
    try checkRows(of: draft, as: scheme, holders)
    let storage = draft.tensor.storage
    if storage.elementType?.needsScale == true {
      throw Failure(
        .unsupported, "convert.scale-missing", "codes of type \(storage.schemeName) cannot be converted without their scale",
        file: source.path, tensor: draft.tensor.name, remedy: "Convert from the original 16-bit weights.")
    }
    let isRounded = hasMethods && draft.id?.block != nil
    return Wish(
      draft: draft, asked: asked, scheme: scheme, holders: holders,
      moves: CodeMoves(source: source, packings: packings, registry: target.registry), isRounded: isRounded,
      isCopy: storage.schemeName == scheme.name && draft.isInPlace && !isRounded && storage.verbatim != nil)
  }

  /// A tensor whose bytes are already stored as the output needs them; nil for any other.
  private func copy(_ wish: Wish) -> PlannedTensor? {
    let draft = wish.draft
    guard wish.isCopy, target.format.id == source.format, draft.activations == nil,
      let part = draft.tensor.storage.storedPart(name: draft.name, shape: draft.shape)
    else { return nil }
    return PlannedTensor(
      sourceName: draft.tensor.name, name: draft.name, shape: draft.shape, scheme: wish.scheme,
      packing: wish.holders.first ?? PlainPacking(), pieces: draft.pieces, parts: [part], note: draft.note, isCopy: true)
  }

  private func tensor(_ wish: Wish, _ scheme: any Scheme, in packing: any Packing) -> PlannedTensor {
    let draft = wish.draft
    var parts = packing.parts(name: draft.name, shape: draft.shape, scheme: scheme)
    if let dimensions = draft.pieces.first?.target.dimensions, scheme.grid.kind == .float, parts.count == 1 {
      parts[0].shape = dimensions
    }
    let size = parts.reduce(0) { $0 + $1.byteCount }
    var tensor = PlannedTensor(
      sourceName: draft.tensor.name, name: draft.name, shape: draft.shape, scheme: scheme, activations: draft.activations,
      packing: packing, pieces: draft.pieces, parts: parts, note: draft.note,
      isCopy: wish.isCopy && parts.count == 1 && draft.tensor.storage.verbatim?.count == size)
    tensor.needsImportance = draft.needsImportance
    if !tensor.isCopy, let repacking = wish.repacking(scheme) {
      tensor.repacking = repacking
      tensor.note = tensor.note ?? repacking.note
    } else if wish.isRoundedAgain {
      tensor.note = tensor.note ?? "re-quantized"
    } else if !hasMethods, !tensor.isCopy, let type = latticeType(of: draft, scheme) {
      tensor.latticeType = type
      tensor.note = tensor.note ?? "on this grid already"
    }
    if let note = draft.valueNote { tensor.note = (tensor.note.map { $0 + ", " } ?? "") + note }
    if draft.draft.isMerged(in: source) { tensor.note = (tensor.note.map { $0 + ", " } ?? "") + "merged" }
    return tensor
  }

  /// The type that a tensor's weights are stored in, if all of them seem to lie on the grid of a scheme already; else nil.
  private func latticeType(of draft: ChosenDraft, _ scheme: any Scheme) -> ElementType? {
    guard scheme.grid.kind != .float, let type = draft.tensor.storage.elementType, draft.isInPlace || draft.draft.keepsRows,
      !draft.draft.isMerged(in: source)
    else { return nil }
    let names = draft.isInPlace ? [draft.tensor.name] : draft.pieces.map { $0.source.name }
    let lies = names.allSatisfy { name in
      source[name].map { $0.storage.elementType == type && $0.lies(on: scheme) } ?? false
    }
    return lies ? type : nil
  }

  /// Why the client would not compute with a layer in this packing, or nil.
  private func obstacle(of client: Client, to draft: ChosenDraft, _ scheme: any Scheme, in packing: any Packing) -> ClientObstacle? {
    guard scheme.grid.kind != .float else { return nil }
    let layer = ClientLayer(
      name: QuantizedModule.name(ofWeight: draft.name), packing: type(of: packing).id, grid: scheme.grid,
      activations: draft.activations, shape: draft.shape)
    return client.profile.obstacle(layer, version: client.version)
  }

  private func requantizes(_ wish: Wish) -> Failure {
    let keepers = wish.moves.keepers(of: wish.draft.draft).map { $0.name }
    return Failure(
      .unsupported, "convert.requantize",
      "this tensor is already quantized (\(wish.draft.tensor.storage.schemeName)); requantizing it to \(wish.scheme.name) loses quality",
      file: source.path, tensor: wish.draft.tensor.name,
      remedy: "Convert from the original, or give \(setting: "allow-requantize")"
        + (keepers.isEmpty || wish.isRounded ? "." : "; without requantizing it can become: \(keepers.joined(separator: ", "))."))
  }

  /// - Throws: `Failure` if rows of this length or direction cannot be stored in the scheme, or their inputs cannot be rounded as asked.
  private func checkRows(of draft: ChosenDraft, as scheme: any Scheme, _ holders: [any Packing]) throws(Failure) {
    guard scheme.grid.kind == .float || !draft.isTransposed || holders.contains(where: { $0.holdsTransposed }) else {
      throw Failure(
        .unsupported, "scheme.transposed",
        "the output holds this matrix transposed, and clients cannot unpack it from \(scheme.name)", file: source.path,
        tensor: draft.name,
        remedy: (upright(draft).map { "Write \($0), which does not transpose it, or choose" } ?? "Choose") + " bf16, f16 or f32.")
    }
    guard scheme.fits(columns: draft.rowLength), scheme.grid.kind == .float || !draft.shape.contains(0) else {
      throw Failure(
        .unsupported, "scheme.row-length",
        "rows of \(draft.rowLength) weights cannot be stored as \(scheme.name)"
          + (scheme.grid.groupLength.map { ", whose group size is \($0)" } ?? ""), file: source.path, tensor: draft.name,
        remedy:
          "Give another \(setting: "scheme"), or give this tensor its own with \(setting: "tensor") '\(draft.name)=SCHEME'; these fit: "
          + target.fitting(draft.rowLength).joined(separator: ", ") + ".")
    }
    if let length = draft.activations?.groupLength, !draft.tensor.rowLength.isMultiple(of: length) {
      throw Failure(
        .unsupported, "activations.row-length", "\(draft.tensor.rowLength) channels cannot be rounded in groups of \(length)",
        file: source.path, tensor: draft.name,
        remedy: "Give another \(setting: "activations"), or leave this tensor unquantized with \(setting: "tensor") '\(draft.name)=bf16'.")
    }
  }

  /// The kinds of output in which the tensor is not transposed, or nil.
  private func upright(_ draft: ChosenDraft) -> String? {
    let place = draft.id.flatMap { model?.tensor($0) }
    let outputs = target.registry.outputs { format in
      format.contents.contains(.model) && place?.place(format.naming)?.layout.isTransposed == false
    }
    return outputs.isEmpty ? nil : outputs
  }

  /// Why no packing of the format holds a tensor: the client's reason first, then the packing's own.
  private func refusal(
    of draft: ChosenDraft, _ scheme: any Scheme, _ refused: (client: Client, obstacle: ClientObstacle)?, unfit: String?
  ) -> Failure {
    if let (client, obstacle) = refused {
      return Failure(
        .unsupported, "client.refuses", "\(client.profile.id) \(client.version) \(obstacle.reason)", file: target.path,
        tensor: draft.name, remedy: obstacle.remedy)
    }
    if let unfit {
      return Failure(
        .unsupported, "packing.shape", unfit, file: target.path, tensor: draft.name,
        remedy: "Leave \(setting: "packing") out, or leave this tensor unquantized with \(setting: "tensor") '\(draft.name)=bf16'.")
    }
    let registry = target.registry
    let able = registry.formats.filter { other in
      registry.packings(of: other).contains { $0.holds($0.stored(scheme).grid, inputs: draft.activations) }
    }
    let byName = registry.packings.first { type(of: $0).isOnlyByName && $0.holds(scheme.grid, inputs: draft.activations) }
    return Failure(
      .unsupported, "packing.none",
      "format '\(target.format.id)' cannot hold \(scheme.name)" + (draft.activations.map { " with inputs rounded to \($0.name)" } ?? ""),
      file: target.path, tensor: draft.name,
      remedy: able.isEmpty
        ? "Choose another scheme; \(command: "plugins") lists them."
          + (byName.map { " Or give \(setting: "packing") \(type(of: $0).id), for what its codes mean as floats." } ?? "")
        : "Choose another scheme, or a format that can: \(able.map { $0.id }.joined(separator: ", ")).")
  }

  /// A tensor whose values are not floating-point numbers keeps its bytes and type.
  private func sealData(_ draft: ChosenDraft) throws -> PlannedTensor {
    let stored = draft.tensor.storage.schemeName
    guard let bytes = draft.tensor.storage.verbatim, let type = draft.tensor.storage.elementType,
      draft.isInPlace
    else {
      throw Failure(
        .unsupported, "convert.data-tensor", "values of type \(stored) cannot be converted", tensor: draft.tensor.name,
        remedy: "Convert a checkpoint whose tensors are floating-point or of a known quantized type.")
    }
    let part = StoredPart(name: draft.name, shape: draft.shape, type: .element(type), byteCount: bytes.count)
    return PlannedTensor(
      sourceName: draft.tensor.name, name: draft.name, shape: draft.shape, scheme: FloatScheme.f32, packing: PlainPacking(),
      pieces: draft.pieces, parts: [part], note: "data", isCopy: true)
  }
}
