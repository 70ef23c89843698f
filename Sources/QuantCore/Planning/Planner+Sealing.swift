/// What becomes of each tensor: its packing and stored parts, and whether it is copied, moved, or rounded.
extension Planner {
  /// - Throws: `Failure` that says why the tensor cannot become what was chosen for it, and what would work.
  func seal(
    _ draft: TensorMapping.Draft, request: ConversionRequest, source: Checkpoint, format: any CheckpointFormat.Type,
    methods: [any QuantizationMethod]
  ) throws -> PlannedTensor {
    let stored = draft.tensor.storage.schemeName
    guard let named = draft.scheme else { return try sealData(draft) }
    let asked = request.search == .best ? named.widerSearch ?? named : named
    let packings = holders(draft, among: try packings(of: format, request), source: source)
    let holders = packings.filter { $0.holds($0.stored(asked).grid, activations: draft.activations) }
    if holders.isEmpty { try checkStack(draft, source: source, request: request) }
    let scheme = holders.first?.stored(asked) ?? asked
    try checkRows(of: draft, as: scheme, format: format, request: request)
    let isQuantizedSource = !["f32", "f16", "bf16", "f64"].contains(stored)
    let isSame = stored == scheme.name
    let isRounded = !methods.isEmpty && draft.id?.block != nil
    let adoption = isRounded ? nil : adoption(draft, scheme, source: source)
    if ElementType(rawValue: stored.uppercased())?.needsScale == true {
      throw Failure(
        .unsupported, "convert.scale-missing", "codes of type \(stored) cannot be converted without their scale", file: request.input,
        tensor: draft.tensor.name, remedy: "Convert from the original in 16 bits.")
    }
    // What is merged with an adapter has lost its bytes.
    let isInPlaceCopy = isSame && draft.isInPlace && !isRounded && draft.tensor.storage.verbatim != nil
    if isInPlaceCopy, format.id == source.format, draft.activations == nil,
      let part = draft.tensor.storage.storedPart(name: draft.name, shape: draft.shape)
    {
      return PlannedTensor(
        sourceName: draft.tensor.name, name: draft.name, shape: draft.shape, scheme: scheme, packing: holders.first ?? PlainPacking(),
        pieces: draft.pieces, parts: [part], note: draft.note, isCopy: true)
    }
    let isRoundedAgain = isQuantizedSource && scheme.grid.kind != .float && adoption == nil && !isInPlaceCopy
    if isRoundedAgain && !request.allowRequantize {
      let keepers = keepers(of: draft, source: source, packings: packings).map { $0.name }
      throw Failure(
        .unsupported, "convert.requantize",
        "this tensor is already quantized (\(stored)); rounding it again to \(scheme.name) "
          + "loses quality", file: request.input, tensor: draft.tensor.name,
        remedy: "Convert from the original, or give --allow-requantize"
          + (keepers.isEmpty || isRounded ? "." : "; without another rounding it can become: \(keepers.joined(separator: ", "))."))
    }
    let client = try client(request)
    var refused: (client: Client, obstacle: ClientObstacle)?
    var unfit: String?
    for packing in holders {
      let scheme = packing.stored(asked)
      if let reason = packing.obstacle(shape: draft.shape, scheme: scheme) {
        unfit = unfit ?? "'\(type(of: packing).id)' cannot hold \(scheme.name): \(reason)"
        continue
      }
      if let client, scheme.grid.kind != .float {
        let layer = ClientLayer(
          name: QuantizedModule.name(ofWeight: draft.name), packing: type(of: packing).id, grid: scheme.grid,
          activations: draft.activations, shape: draft.shape)
        if let obstacle = client.profile.obstacle(layer, version: client.version) {
          refused = refused ?? (client, obstacle)
          continue
        }
      }
      let parts = packing.parts(name: draft.name, shape: draft.shape, scheme: scheme)
      let size = parts.reduce(0) { $0 + $1.byteCount }
      var tensor = PlannedTensor(
        sourceName: draft.tensor.name, name: draft.name, shape: draft.shape, scheme: scheme, activations: draft.activations,
        packing: packing, pieces: draft.pieces, parts: parts, note: draft.note,
        isCopy: isInPlaceCopy && parts.count == 1 && draft.tensor.storage.verbatim?.count == size)
      tensor.needsImportance = draft.needsImportance
      if !tensor.isCopy, let adoption = isRounded ? nil : self.adoption(draft, scheme, source: source) {
        tensor.adoption = adoption
        tensor.note = tensor.note ?? adoption.note
      } else if isRoundedAgain {
        tensor.note = tensor.note ?? "re-quantized"
      }
      if let note = draft.valueNote { tensor.note = (tensor.note.map { $0 + ", " } ?? "") + note }
      if draft.isMerged(in: source) { tensor.note = (tensor.note.map { $0 + ", " } ?? "") + "merged" }
      return tensor
    }
    throw refusal(of: draft, scheme, refused, unfit: unfit, format: format, request: request)
  }

  /// - Throws: `Failure` where rows of this length or direction cannot be stored in the scheme, or their inputs not be rounded as asked.
  private func checkRows(
    of draft: TensorMapping.Draft, as scheme: any Scheme, format: any CheckpointFormat.Type, request: ConversionRequest
  ) throws(Failure) {
    guard scheme.grid.kind == .float || !draft.isTransposed else {
      throw Failure(
        .unsupported, "scheme.transposed",
        "this container holds the matrix transposed, and readers do not unpack such a one from \(scheme.name)", file: request.input,
        tensor: draft.name, remedy: "Write a .gguf file, which holds it the other way round, or choose bf16, f16 or f32.")
    }
    guard scheme.fits(columns: draft.rowLength), scheme.grid.kind == .float || !draft.shape.contains(0) else {
      throw Failure(
        .unsupported, "scheme.row-length",
        "rows of \(draft.rowLength) weights cannot be stored as \(scheme.name)"
          + (scheme.grid.groupLength.map { ", whose groups have \($0)" } ?? ""), file: request.input, tensor: draft.name,
        remedy: "Give another --scheme, or this tensor its own with --tensor '\(draft.name)=SCHEME'; these fit: "
          + fitting(draft.rowLength, format).joined(separator: ", ") + ".")
    }
    if let length = draft.activations?.groupLength, !draft.tensor.rowLength.isMultiple(of: length) {
      throw Failure(
        .unsupported, "activations.row-length", "\(draft.tensor.rowLength) channels cannot be rounded in groups of \(length)",
        file: request.input, tensor: draft.name,
        remedy: "Give another --activations, or this tensor a type that is not quantized with --tensor '\(draft.name)=bf16'.")
    }
  }

  /// Why no packing of the format holds a tensor: the client's reason first, then the packing's own.
  private func refusal(
    of draft: TensorMapping.Draft, _ scheme: any Scheme, _ refused: (client: Client, obstacle: ClientObstacle)?, unfit: String?,
    format: any CheckpointFormat.Type, request: ConversionRequest
  ) -> Failure {
    if let (client, obstacle) = refused {
      return Failure(
        .unsupported, "client.refuses", "\(client.profile.id) \(client.version) \(obstacle.reason)", file: request.output,
        tensor: draft.name, remedy: obstacle.remedy)
    }
    if let unfit {
      return Failure(
        .unsupported, "packing.shape", unfit, file: request.output, tensor: draft.name,
        remedy: "Leave --packing out, or this tensor unquantized with --tensor '\(draft.name)=bf16'.")
    }
    let able = registry.formats.filter { other in
      registry.packings(of: other).contains { $0.holds($0.stored(scheme).grid, activations: draft.activations) }
    }
    return Failure(
      .unsupported, "packing.none",
      "format '\(format.id)' cannot hold \(scheme.name)" + (draft.activations.map { " with inputs rounded to \($0.name)" } ?? ""),
      file: request.output, tensor: draft.name,
      remedy: able.isEmpty
        ? "Choose another scheme; 'qconvert plugins' lists them."
        : "Choose another scheme, or a format that can: \(able.map { $0.id }.joined(separator: ", ")).")
  }

  /// A tensor whose values are not floating-point numbers keeps its bytes and type.
  private func sealData(_ draft: TensorMapping.Draft) throws -> PlannedTensor {
    let stored = draft.tensor.storage.schemeName
    guard let bytes = draft.tensor.storage.verbatim, let type = ElementType(rawValue: stored.uppercased()),
      draft.isInPlace
    else {
      throw Failure(
        .unsupported, "convert.data-tensor", "values of type \(stored) cannot be converted", tensor: draft.tensor.name,
        remedy: "Only floating-point and understood quantized tensors can be.")
    }
    let part = StoredPart(name: draft.name, shape: draft.shape, type: .element(type), byteCount: bytes.count)
    return PlannedTensor(
      sourceName: draft.tensor.name, name: draft.name, shape: draft.shape, scheme: FloatScheme.f32, packing: PlainPacking(),
      pieces: draft.pieces, parts: [part], note: "data", isCopy: true)
  }
}
