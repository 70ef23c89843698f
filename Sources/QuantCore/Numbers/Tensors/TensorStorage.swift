/// The stored values of one logical tensor, decoded on demand.
///
/// A logical tensor is a matrix of `rowCount` rows of `rowLength` values: the last dimension of its shape is the row,
/// all others are flattened into `rowCount`. Storage never decodes itself as a whole: callers ask for rows.
public protocol TensorStorage: Sendable {
  /// Name of the scheme that the values are stored in: `bf16`, `q4_k`, `int4-g128`; or the element type for data (`i64`).
  var schemeName: String { get }
  /// Bytes that the tensor occupies in its checkpoint, parameters included.
  var byteCount: Int { get }
  /// Whether values can be decoded to 32-bit floats (false for integer data such as token maps).
  var isNumeric: Bool { get }
  /// The bytes exactly as stored, if one contiguous range holds everything; otherwise nil.
  var verbatim: ByteView? { get }
  /// The one stored tensor that it is, for a copy into the same format; nil if that is not known.
  func storedPart(name: String, shape: [Int]) -> StoredPart?
  /// The stored tensors that it is put together from; empty if it is a single one.
  func components(name: String, shape: [Int]) -> [CheckpointTensor]
  /// Codes and parameters as stored, or nil if only the values are known.
  var codes: (any QuantizedStorage)? { get }
  /// How the program that defined this layout rounds what it multiplies by the tensor; nil: not at all.
  var inputRounding: (any ValueRounding)? { get }
  /// Decodes whole rows to 32-bit floats at `destination`, which has room for `rows.count * rowLength` values.
  /// - Precondition: `isNumeric`, and `rows` is within the tensor.
  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>)
}

extension TensorStorage {
  /// The type of the elements if they are stored plainly; nil if they are codes of a scheme.
  public var elementType: ElementType? { ElementType(schemeName: schemeName) }
  public var codes: (any QuantizedStorage)? { nil }
  public var inputRounding: (any ValueRounding)? { nil }
  public func storedPart(name: String, shape: [Int]) -> StoredPart? {
    guard let bytes = verbatim, let type = elementType else { return nil }
    return StoredPart(name: name, shape: shape, type: .element(type), byteCount: bytes.count)
  }
  public func components(name: String, shape: [Int]) -> [CheckpointTensor] { [] }
}

/// One logical tensor of a checkpoint.
public struct CheckpointTensor: Sendable {
  /// The name in the checkpoint, without the suffixes of a packing (`model.layers.0.mlp.up_proj.weight`).
  public var name: String
  /// Dimensions, outermost first (the order of PyTorch; GGUF's are reversed on reading). Empty for a scalar.
  public var shape: [Int]
  /// Where its rows are decoded from.
  public var storage: any TensorStorage

  public init(name: String, shape: [Int], storage: any TensorStorage) {
    self.name = name
    self.shape = shape
    self.storage = storage
  }

  /// Length of a row: the last dimension (1 for a scalar).
  public var rowLength: Int { shape.last ?? 1 }
  /// Number of rows: the product of all dimensions but the last. Checked against overflow by the reader.
  public var rowCount: Int { shape.dropLast().reduce(1, *) }
  /// Number of values.
  public var elementCount: Int { rowCount * rowLength }

  /// Decodes rows into `destination` (room for `rows.count * rowLength` floats).
  /// - Precondition: `rows` is within the tensor.
  public func decode(rows: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= rowCount, "rows outside of the tensor")
    storage.decode(rows: rows, rowLength: rowLength, into: destination)
  }

  /// Whether the other tensor has the same shape and the same stored bytes.
  public func hasSameContent(as other: CheckpointTensor) -> Bool {
    guard shape == other.shape, storage.schemeName == other.storage.schemeName, let own = storage.verbatim,
      let others = other.storage.verbatim, own.count == others.count
    else { return false }
    return own.withUnsafeBytes { a in others.withUnsafeBytes { b in a.elementsEqual(b) } }
  }

  /// The whole tensor as floats, `[rowCount, rowLength]`. For small tensors and for the matrices of one block.
  public func matrix() -> Matrix {
    var values = [Float](repeating: 0, count: elementCount)
    values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { decode(rows: 0..<rowCount, into: base) }
    }
    return Matrix(rows: rowCount, columns: rowLength, values: values)
  }
}
