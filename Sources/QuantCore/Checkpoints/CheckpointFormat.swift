/// How a file or folder is laid out: reads a checkpoint, and lays out a new one.
///
/// Laying out is a pure function from a plan to files with offsets; writing them (reserve, write, sync, verify, rename)
/// is the same for every format and belongs to `OutputTransaction`.
public protocol CheckpointFormat: CheckpointReader {
  /// Whether outputs are folders.
  static var isFolder: Bool { get }
  /// What it may hold.
  static var contents: Set<CheckpointContent> { get }
  /// Scheme or preset used where none is asked for.
  static var defaultScheme: String { get }
  /// Names that this container gives its tensors.
  static var naming: Naming { get }
  /// The scheme of a tensor that is not quantized (norms, biases, tables).
  /// - Parameters:
  ///   - stored: how the source stores it.
  ///   - type: the floating-point type that the whole model becomes; nil where it does not.
  static func unquantizedScheme(for tensor: PresetTensor, stored: String, type: String?) -> String
  /// Whether what is chosen for the whole model holds for this tensor; a rule of its own may still ask for more.
  /// - Parameters:
  ///   - scheme: the scheme for the whole model; nil where a preset chooses.
  ///   - model: nil for an architecture that no family describes: then name and shape have to do.
  static func quantizes(_ tensor: PresetTensor, as scheme: (any Scheme)?, model: ModelDescription?) -> Bool
  /// What takes the place of a scheme that rows of this length cannot hold, and why, where nobody insists on the scheme; nil:
  /// nothing does.
  static func fallback(for scheme: String, columns: Int) -> (scheme: String, note: String?)?
  /// Whether an output can be cut into several files.
  static var splits: Bool { get }
  /// Whether the metadata of an output are typed keys and values that a person can edit.
  static var holdsKeyValues: Bool { get }
  /// The tensors of an adapter, under their names in this container; asked for where `contents` has adapters.
  /// - Throws: `Failure` where the container has no place for a part of it.
  static func tensors(of adapter: LowRankAdapter) throws(Failure) -> [CheckpointTensor]
  /// Files, offsets and header bytes for a sealed plan.
  static func layout(_ request: OutputRequest) throws -> OutputLayout
}

/// What can lie in a container.
public enum CheckpointContent: String, Sendable {
  case model
  case adapter
}

extension CheckpointFormat {
  public static func fallback(for scheme: String, columns: Int) -> (scheme: String, note: String?)? { nil }
  public static var splits: Bool { isFolder }
  public static var holdsKeyValues: Bool { false }
  public static var contents: Set<CheckpointContent> { [.model] }
  public static func tensors(of adapter: LowRankAdapter) throws(Failure) -> [CheckpointTensor] { [] }
}

/// One tensor of the output, as the plan sealed it.
public struct PlannedTensor: Sendable {
  /// Name of the source tensor.
  public var sourceName: String
  /// Name in the output, without suffixes of a packing.
  public var name: String
  /// Logical shape, outermost first.
  public var shape: [Int]
  /// How its weights are rounded.
  public var scheme: any Scheme
  /// How readers are to round this layer's inputs, or nil.
  public var activations: ActivationScheme?
  /// How codes and parameters become bytes.
  public var packing: any Packing
  /// The tensors of the model that it holds, in the order of the model; empty without a family.
  public var pieces: [TensorPiece]
  /// The stored tensors, as `packing.parts` gave them.
  public var parts: [StoredPart]
  /// Why the scheme is not the one asked for, or nil.
  public var note: String?
  /// Whether bytes are copied from the source as they are.
  public var isCopy: Bool
  /// How the source's codes become this tensor's without another rounding; nil where weights are rounded, or bytes copied.
  public var adoption: Adoption?
  /// The bytes of the only part, where they are known beforehand: what the container wants and the source holds in no tensor;
  /// else nil.
  public var constant: [UInt8]?
  /// What is to be found on calibration text and stored here; else nil.
  public var calibrated: CalibratedValue?
  /// What errors in its columns weigh, where a person gave it; of a stack of experts, one row of numbers for each.
  public var importance: [Float]?
  /// Whether it must not be rounded without that.
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

  /// Its part in the model, that of the first where it holds several; nil without a family.
  public var id: TensorID? { pieces.first?.id }

  /// Whether its rows are the source tensor's in their order.
  var isInPlace: Bool { pieces.allSatisfy { $0.isInPlace && $0.source.name == sourceName } }

  /// Whether the outputs of its matrices are its columns.
  var isTransposed: Bool { pieces.contains { $0.target.layout.isTransposed } }

  /// Whether it is made of vectors, in however many dimensions the container lays them.
  var isVector: Bool { pieces.first.map { $0.shape.count == 1 } ?? (shape.count == 1) }

  /// Rows that one rounder may round: those whose matrices read the same site. Stacked experts have a site each.
  func segments(of graph: BlockGraph) -> [(rows: Range<Int>, piece: TensorPiece, site: Site?)] {
    let all = shape.dropLast().reduce(1, *)
    guard let first = pieces.first else { return [] }
    let site = graph.input(of: first.id.layer)
    if isTransposed || pieces.allSatisfy({ graph.input(of: $0.id.layer) == site }) { return [(0..<all, first, site)] }
    var segments: [(rows: Range<Int>, piece: TensorPiece, site: Site?)] = []
    for piece in pieces {
      let (site, layout) = (graph.input(of: piece.id.layer), piece.target.layout)
      let rows = layout.containerRow(of: 0, rows: piece.rows)..<layout.containerRow(of: piece.rows - 1, rows: piece.rows) + 1
      // Matrices that lie in each other's gaps read the same.
      if let last = segments.last, last.site == site {
        segments[segments.count - 1].rows = min(last.rows.lowerBound, rows.lowerBound)..<max(last.rows.upperBound, rows.upperBound)
      } else {
        segments.append((rows, piece, site))
      }
    }
    return segments
  }

  /// What errors in the columns of one of its matrices weigh, or nil.
  func importance(of piece: TensorPiece) -> [Float]? {
    guard let importance, let columns = piece.shape.last, importance.count > columns else { return importance }
    let start = (pieces.firstIndex { $0.id == piece.id } ?? 0) * columns
    return start + columns <= importance.count ? Array(importance[start..<start + columns]) : nil
  }

  /// Length of all parts.
  var storedBytes: Int { parts.reduce(0) { $0 + $1.byteCount } }

  /// Rows that a piece of work must be a multiple of, so that no tile and no word of the packing is cut.
  var rowMultiple: Int { packing.rowMultiple * (scheme.grid.tileRows ?? 1) }
}

/// A tensor of the model on its way from one container tensor into another.
public struct TensorPiece: Sendable {
  /// Its part in the model.
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
  var rows: Int { shape.first ?? 1 }
  /// Whether it lies in both container tensors at the same place.
  var isInPlace: Bool { source.layout == target.layout && source.shape == target.shape }
}

/// What a format needs to lay out an output.
public struct OutputRequest: Sendable {
  /// What is converted.
  public var source: Checkpoint
  /// The model, where a family knows it.
  public var model: ModelDescription?
  /// The tokenizer's data, where there is one.
  public var tokenizer: TokenizerData?
  /// Output tensors, in their order.
  public var tensors: [PlannedTensor]
  /// Name of the preset or scheme asked for (`q4_k_m`), for `general.file_type` and the model card.
  public var presetName: String
  /// How keys and values are rounded in a cache; nil: not at all.
  public var cache: ActivationScheme?
  /// Ordered facts about how the file was made: version, methods, options, calibration. No times, hosts or paths.
  public var provenance: [(key: String, value: String)]
  /// Name of the target without folder and extension, used where the source has no name of its own.
  public var targetName: String
  /// Largest shard in bytes, or nil for one file.
  public var shardSize: Int?
  /// Whether the output is cut into files where the source is.
  public var keepsSplit: Bool
  /// Changes to the metadata, in their order.
  public var metadataEdits: [MetadataEdit]
  /// What will be measured when the output is complete, for a model card.
  public var figures: [Figure] = []

  public init(
    source: Checkpoint, model: ModelDescription?, tokenizer: TokenizerData?, tensors: [PlannedTensor], presetName: String,
    cache: ActivationScheme? = nil, provenance: [(key: String, value: String)], targetName: String, shardSize: Int? = nil,
    keepsSplit: Bool = false, metadataEdits: [MetadataEdit] = []
  ) {
    self.source = source
    self.model = model
    self.tokenizer = tokenizer
    self.tensors = tensors
    self.presetName = presetName
    self.cache = cache
    self.provenance = provenance
    self.targetName = targetName
    self.shardSize = shardSize
    self.keepsSplit = keepsSplit
    self.metadataEdits = metadataEdits
  }
}

/// A number that is measured on a complete output.
public struct Figure: Sendable, Equatable {
  /// What the measurement is called where it is handed over.
  public var id: String
  /// What a person reads beside it.
  public var title: String

  public init(id: String, title: String) {
    self.id = id
    self.title = title
  }
}

/// The files of an output: sizes known to the byte before anything is written. They are one file, a folder, or several files beside
/// each other.
public struct OutputLayout: Sendable {
  /// One file of the output.
  public struct File: Sendable {
    /// Name within the output folder, or beside the target; empty where the output is a single file.
    public var name: String
    /// Length in bytes.
    public var size: Int
    /// Bytes known beforehand (headers, padding is zero by itself), at their offsets.
    public var literals: [(offset: Int, bytes: [UInt8])]

    public init(name: String, size: Int, literals: [(offset: Int, bytes: [UInt8])]) {
      self.name = name
      self.size = size
      self.literals = literals
    }
  }

  /// Where one stored part goes.
  public struct Placement: Sendable, Equatable {
    /// Index into the request's tensors.
    public var tensor: Int
    /// Index into that tensor's parts.
    public var part: Int
    /// Index into `files`.
    public var file: Int
    /// Distance in bytes from the start of the file.
    public var offset: Int
    /// Length in bytes.
    public var byteCount: Int

    public init(tensor: Int, part: Int, file: Int, offset: Int, byteCount: Int) {
      self.tensor = tensor
      self.part = part
      self.file = file
      self.offset = offset
      self.byteCount = byteCount
    }
  }

  /// A stretch of a file that holds spaces until a figure is known, so that sizes do not depend on what is measured.
  public struct Slot: Sendable, Equatable {
    /// Id of the figure.
    public var figure: String
    /// Index into `files`.
    public var file: Int
    /// Distance in bytes from the start of the file.
    public var offset: Int
    /// Length in bytes.
    public var byteCount: Int

    public init(figure: String, file: Int, offset: Int, byteCount: Int) {
      self.figure = figure
      self.file = file
      self.offset = offset
      self.byteCount = byteCount
    }
  }

  /// Whether the target is a folder that holds the files.
  public var isFolder: Bool
  /// The files, in the order in which they are put in place.
  public var files: [File]
  /// Where each part of each tensor goes.
  public var placements: [Placement]
  /// Where figures go that are known when everything else is written.
  public var slots: [Slot]

  public init(isFolder: Bool, files: [File], placements: [Placement], slots: [Slot] = []) {
    self.isFolder = isFolder
    self.files = files
    self.placements = placements
    self.slots = slots
  }

  /// Whether the output is several files beside each other.
  public var isSplit: Bool { !isFolder && files.contains { !$0.name.isEmpty } }

  /// What stands under a name of its own when the output is complete. Readers begin with the first.
  public func targets(_ target: String) -> [String] {
    guard isSplit else { return [target] }
    let folder = target.lastIndex(of: "/").map { target[...$0] } ?? ""
    return files.map { folder + $0.name }
  }

  /// Size of all files together.
  public var totalSize: Int { files.reduce(0) { $0 + $1.size } }
}
