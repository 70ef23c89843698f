import QuantCore

/// What is stored beside 4-bit codes as the text of a JSON object.
struct FourBitState {
  var type: FourBitType
  /// Dimensions of the matrix, all above 0; their product does not overflow.
  var shape: [Int]
  var blockLength: Int
  /// Type in which the model computes.
  var modelType: ElementType
  /// Magnitudes of blocks that are codes themselves, or nil.
  var nested: Nested?

  struct Nested {
    /// Magnitudes of a nested block.
    var blockLength: Int
    /// Added to each of them.
    var offset: Float
  }

  /// A state has some 200 bytes.
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

  /// Characters of the longest 32-bit float, written as one of 64 bits.
  private static let longestNumber = 24

  /// As the library writes it, byte for byte. Of nested magnitudes, the number that is not known when files are laid out ends in
  /// spaces behind the object.
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
      throw FourBitState.bad("is no JSON text of at most \(FourBitState.maximumBytes) bytes")
    }
    guard json["quant_type"]?.stringValue == type.rawValue else { throw FourBitState.bad("names another type than its tensor does") }
    let dimensions = json["shape"]?.arrayValue?.map { $0.intValue ?? 0 } ?? []
    guard dimensions.count == 2, dimensions.allSatisfy({ $0 > 0 }), Checked.product(of: dimensions) != nil else {
      throw FourBitState.bad("has no shape of two lengths")
    }
    guard let length = json["blocksize"]?.intValue, FourBitScheme.blockLengths.contains(length) else {
      throw FourBitState.bad("has a block length that the library does not know")
    }
    let dtype = json["dtype"]?.stringValue
    guard let modelType = FourBitState.types.first(where: { $0.name == dtype })?.type else {
      throw FourBitState.bad("has no type that a model computes in")
    }
    self.type = type
    shape = dimensions
    blockLength = length
    self.modelType = modelType
    if json["nested_blocksize"] != nil || json["nested_offset"] != nil {
      guard let length = json["nested_blocksize"]?.intValue, length > 0, let offset = json["nested_offset"]?.doubleValue,
        Float(offset).isFinite, json["nested_dtype"]?.stringValue == "float32"
      else { throw FourBitState.bad("has no proper length, offset and type of its nested blocks") }
      nested = Nested(blockLength: length, offset: Float(offset))
    }
  }

  private static func bad(_ message: String) -> Failure {
    Failure(.data, "bnb.state", "its quant_state \(message)", remedy: "Fetch the file again; it is damaged.")
  }
}
