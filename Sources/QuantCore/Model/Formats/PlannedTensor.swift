/// One tensor of the output, as planned.
public struct PlannedTensor: Sendable {
  /// Name of the source tensor.
  public var sourceName: String
  /// Name in the output, without suffixes of a packing.
  public var name: String
  /// Logical shape, outermost first.
  public var shape: [Int]
  /// How its weights are rounded.
  public var scheme: any Scheme
  /// How clients round this layer's inputs; nil: not at all.
  public var activations: ActivationScheme?
  /// How codes and parameters are stored as bytes.
  public var packing: any Packing
  /// The tensors of the model that it holds, in the order of the model; empty without a family.
  public var pieces: [TensorPiece]
  /// The stored tensors, as `packing.parts` gave them.
  public var parts: [StoredPart]
  /// Why the scheme is not the one asked for, or nil.
  public var note: String?
  /// Whether bytes are copied from the source as they are.
  public var isCopy: Bool
  /// How the source's codes are repacked into this tensor's without rounding; nil if weights are rounded, or bytes are copied.
  public var repacking: Repacking?
  /// The type in which the source stores its weights, if they are values of the scheme's grid already: they keep their codes. Else nil.
  public var latticeType: ElementType?
  /// The bytes of its only part, if they are known in advance because the format needs a tensor that the source does not have; else
  /// nil.
  public var constant: [UInt8]?
  /// The value that calibration finds and this tensor stores; else nil.
  public var calibrated: CalibratedValue?
  /// What it corrects, if it belongs to an adapter that is written beside the output; else nil.
  public var correction: PlannedCorrection?
  /// How much errors in its columns weigh, if importance was given; for a stack of experts, one row of values per expert.
  public var importance: [Float]?
  /// Whether it must not be rounded without importance.
  public var needsImportance = false

  public init(
    sourceName: String, name: String, shape: [Int], scheme: any Scheme, activations: ActivationScheme? = nil,
    packing: any Packing, pieces: [TensorPiece] = [], parts: [StoredPart], note: String?, isCopy: Bool, constant: [UInt8]? = nil,
    calibrated: CalibratedValue? = nil
  ) {
    self.sourceName = sourceName
    self.name = name
    self.shape = shape
    self.scheme = scheme
    self.activations = activations
    self.packing = packing
    self.pieces = pieces
    self.parts = parts
    self.note = note
    self.isCopy = isCopy
    self.constant = constant
    self.calibrated = calibrated
  }

  /// The id of the model's tensor that it holds, the first if it holds several; nil without a family.
  public var id: TensorID? { pieces.first?.id }

  /// The block that it is written with; nil outside of the blocks, and without a family.
  package var block: Int? { id?.block ?? calibrated?.block ?? correction?.block }

  /// Whether its rows are those of the source tensor, in the same order.
  package var isInPlace: Bool { pieces.allSatisfy { $0.isInPlace && $0.source.name == sourceName } }

  /// Whether the outputs of its matrices are its columns.
  package var isTransposed: Bool { pieces.contains { $0.target.layout.isTransposed } }

  /// Whether it is made of vectors, no matter how many dimensions the stored tensor has.
  package var isVector: Bool { pieces.first.map { $0.shape.count == 1 } ?? (shape.count == 1) }

  /// Ranges of rows that one rounder may round: those whose matrices read the same site. Each stacked expert has its own site.
  package func segments(of graph: BlockGraph) -> [(rows: Range<Int>, piece: TensorPiece, site: Site?)] {
    let all = shape.dropLast().reduce(1, *)
    guard let first = pieces.first else { return [] }
    let site = graph.input(of: first.id.layer)
    if isTransposed || pieces.allSatisfy({ graph.input(of: $0.id.layer) == site }) { return [(0..<all, first, site)] }
    var segments: [(rows: Range<Int>, piece: TensorPiece, site: Site?)] = []
    let places = pieces.map { ($0, first: $0.target.layout.containerRow(of: 0, rows: $0.rows)) }
    for (piece, _) in places.sorted(by: { $0.first < $1.first }) {
      let (site, layout) = (graph.input(of: piece.id.layer), piece.target.layout)
      let rows = layout.containerRow(of: 0, rows: piece.rows)..<layout.containerRow(of: piece.rows - 1, rows: piece.rows) + 1
      // Interleaved matrices read the same site.
      if let last = segments.last, last.site == site {
        segments[segments.count - 1].rows = min(last.rows.lowerBound, rows.lowerBound)..<max(last.rows.upperBound, rows.upperBound)
      } else {
        segments.append((rows, piece, site))
      }
    }
    return segments
  }

  /// How much errors in the columns of one of its matrices weigh, or nil.
  package func importance(of piece: TensorPiece) -> [Float]? {
    if piece.target.layout.isTransposed { return nil }
    guard let importance, let columns = piece.shape.last, importance.count > columns else { return importance }
    if pieces.count == 1 { return Importance.mean(of: importance, columns: columns) }
    let start = (pieces.firstIndex { $0.id == piece.id } ?? 0) * columns
    return start + columns <= importance.count ? Array(importance[start..<start + columns]) : nil
  }

  /// Size of all parts in bytes.
  package var storedBytes: Int { parts.reduce(0) { $0 + $1.byteCount } }

  /// The number of rows of a piece of work must be a multiple of this, so that no tile and no word of the packing is split.
  package var rowMultiple: Int { packing.rowMultiple * (scheme.grid.tileRows ?? 1) }
}

/// Says which tensor of the output an adapter's tensor corrects.
public struct PlannedCorrection: Sendable, Equatable {
  /// Index of that tensor in the plan.
  public var target: Int
  /// Its block.
  public var block: Int?

  public init(target: Int, block: Int?) {
    self.target = target
    self.block = block
  }
}

/// A tensor of the model that is converted from its place in the source to its place in the output.
public struct TensorPiece: Sendable {
  /// Identifies the tensor in the model.
  public var id: TensorID
  /// Dimensions in the model.
  public var shape: [Int]
  /// Where it comes from.
  public var source: TensorPlace
  /// Where it goes.
  public var target: TensorPlace

  public init(id: TensorID, shape: [Int], source: TensorPlace, target: TensorPlace) {
    self.id = id
    self.shape = shape
    self.source = source
    self.target = target
  }

  /// Rows of the matrix, or elements of the vector.
  package var rows: Int { shape.first ?? 1 }
  /// Whether it has the same place in both stored tensors.
  package var isInPlace: Bool { source.layout == target.layout && source.shape == target.shape }
}
