import QuantCore

/// The JSON text that is stored beside 4-bit codes.
struct FourBitState {
  var type: FourBitType
  /// Lengths of the matrix, all above 0; their product does not overflow.
  var shape: [Int]
  var blockLength: Int
  /// The type in which the model computes.
  var modelType: ElementType
  /// How the magnitudes of blocks are quantized, or nil if they are floats.
  var nested: Nested?

  struct Nested {
    /// Magnitudes per nested block.
    var blockLength: Int
    /// Added to each magnitude.
    var offset: Float
  }

  /// A state has about 200 bytes.
  private static let maximumBytes = 4096
  private static let types: [(name: String, type: ElementType)] = [("float32", .f32), ("float16", .f16), ("bfloat16", .bf16)]

  static func name(of type: ElementType) -> String { types.first { $0.type == type }?.name ?? "float32" }

  init(scheme: FourBitScheme, shape: [Int]) {
    type = scheme.type
    self.shape = shape
    blockLength = scheme.blockLength
    modelType = scheme.modelType
    nested = scheme.isNested ? Nested(blockLength: NestedMagnitudes.blockLength, offset: scheme.nested?.offset ?? 0) : nil
  }

  /// Characters of the longest 32-bit float, written with the digits of a 64-bit one.
  private static let longestNumber = 24

  /// As the library writes it, byte for byte. With nested magnitudes, the offset is not known when files are laid out; spaces after
  /// the object make up for its length.
  var text: String {
    let lengths = shape.map { String($0) }.joined(separator: ", ")
    let plain =
      "{\"quant_type\": \"\(type.rawValue)\", \"blocksize\": \(blockLength), \"dtype\": \"\(FourBitState.name(of: modelType))\", "
      + "\"shape\": [\(lengths)]"
    guard let nested else { return plain + "}" }
    let number = "\(Double(nested.offset))"
    return plain + ", \"nested_blocksize\": \(nested.blockLength), \"nested_dtype\": \"float32\", \"nested_offset\": \(number)}"
      + String(repeating: " ", count: max(0, FourBitState.longestNumber - number.utf8.count))
  }

  /// - Parameter type: what the name of the tensor says.
  /// - Throws: `Failure` `bnb.state`.
  init(_ tensor: CheckpointTensor, type: FourBitType) throws(Failure) {
    guard let bytes = tensor.storage.verbatim, bytes.count <= FourBitState.maximumBytes, let json = try? JSON.parse(bytes, .strict) else {
      throw FourBitState.bad("is not a JSON text of at most \(FourBitState.maximumBytes) bytes")
    }
    guard json["quant_type"]?.stringValue == type.rawValue else { throw FourBitState.bad("names another type than its tensor's name does") }
    let dimensions = json["shape"]?.arrayValue?.map { $0.intValue ?? 0 } ?? []
    guard dimensions.count == 2, dimensions.allSatisfy({ $0 > 0 }), Checked.product(of: dimensions) != nil else {
      throw FourBitState.bad("has no shape of two positive lengths")
    }
    guard let length = json["blocksize"]?.intValue, FourBitScheme.blockLengths.contains(length) else {
      throw FourBitState.bad("has a block length that the library does not know")
    }
    let dtype = json["dtype"]?.stringValue
    guard let modelType = FourBitState.types.first(where: { $0.name == dtype })?.type else {
      throw FourBitState.bad("has no 'dtype' of float32, float16 or bfloat16")
    }
    self.type = type
    shape = dimensions
    blockLength = length
    self.modelType = modelType
    if json["nested_blocksize"] != nil || json["nested_offset"] != nil {
      guard let length = json["nested_blocksize"]?.intValue, length > 0, let offset = json["nested_offset"]?.doubleValue,
        Float(offset).isFinite, json["nested_dtype"]?.stringValue == "float32"
      else { throw FourBitState.bad("has no valid length, offset and type for its nested blocks") }
      nested = Nested(blockLength: length, offset: Float(offset))
    }
  }

  private static func bad(_ message: String) -> Failure {
    Failure(.data, "bnb.state", "its quant_state \(message)", remedy: "Fetch the file again; it is damaged.")
  }
}
