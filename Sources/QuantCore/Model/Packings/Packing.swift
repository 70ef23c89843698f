/// Which bytes hold the codes and parameters of a scheme.
///
/// A packing turns quantized rows into the tensors of a format, and says exactly which grids it holds. It knows no file: a format
/// asks for the stored tensors and places them.
///
/// Implement `formats`, `holds`, `parts` and `pack`, and what else applies: a packing of folders is a `FolderPacking`, one whose
/// readers know rounded inputs or caches an `ActivationPacking`, one for stacks of experts a `StackPacking`. To be read again it is
/// an `Unpacker`, too.
///
/// The host asks `holds` before everything else, about the scheme that `stored` answers, and then `obstacle`. It calls `pack` with
/// whole tiles, from several threads, for every row once. What comes back of a part must add up to its `byteCount`.
public protocol Packing: PackingPlugin {
  /// Ids of the formats whose readers know it; none: of all whose configuration says which packing holds a tensor. Where several packings hold a grid, the one that is registered first is taken.
  static var formats: [String] { get }
  /// Whether readers of a format know it: one of `formats`, unless the packing is known to all.
  static func isKnown(toReadersOf format: String) -> Bool

  // MARK: What it holds

  /// Whether every code and parameter of this grid can be stored without change.
  func holds(_ grid: Grid) -> Bool
  /// The scheme on the grid that this packing stores where `scheme` is asked for. Formats that keep scales in a type of their own
  /// change the scheme's; its name stays.
  func stored(_ scheme: any Scheme) -> any Scheme
  /// Why a matrix of this shape on a grid that the packing holds cannot be stored, or nil where it can:
  /// `rows are no multiple of 8`.
  func obstacle(shape: [Int], scheme: any Scheme) -> String?
  /// Whether codes go along the rows of the container's tensor even where these are the inputs of the model's matrix, not its outputs.
  /// Readers of other packings take a quantized matrix the other way round, or do not know it.
  var holdsTransposed: Bool { get }
  /// What a person should know before matrices on this grid are stored (versions of programs that cannot read them), or nil.
  func caution(_ scheme: any Scheme) -> String?

  // MARK: Storing

  /// The stored tensors of a logical matrix `[rows, columns]`, in the order in which `pack` returns their bytes.
  /// - Parameter name: the logical tensor's name; a packing appends its own suffixes.
  func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart]
  /// Rows that `pack` must be given at a time: a multiple of this and of the scheme's tile rows (the last call may have fewer).
  var rowMultiple: Int { get }
  /// Bytes of some rows, one array per part, in the order that `StoredPart.order` says. A part that does not depend on rows
  /// (a stored shape, the scale of a tensor) is returned with the first rows only.
  func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]]
  /// A direct way from floats to the bytes of the only part, equal to `encode` + `pack`, or nil where there is none.
  func fused(scheme: any Scheme) -> FusedEncoder?
}

extension Packing {
  public static func isKnown(toReadersOf format: String) -> Bool { formats.contains(format) }
  public func stored(_ scheme: any Scheme) -> any Scheme { scheme }
  public func obstacle(shape: [Int], scheme: any Scheme) -> String? { nil }
  public var holdsTransposed: Bool { false }
  public func caution(_ scheme: any Scheme) -> String? { nil }
  public var rowMultiple: Int { 1 }
  public func fused(scheme: any Scheme) -> FusedEncoder? { nil }
}

/// Encodes `rows` rows of `columns` floats into `destination`, which has room for exactly their packed bytes.
/// `importance` has one weight per column, or is nil.
public typealias FusedEncoder =
  @Sendable (
    _ source: UnsafePointer<Float>, _ rows: Int, _ columns: Int, _ importance: UnsafePointer<Float>?,
    _ destination: UnsafeMutableRawPointer
  ) -> Void
