import QuantCore

/// The values in a pickle of tensors.
enum PickleValue {
  case none
  case bool(Bool)
  case integer(Int)
  /// A float, whose value does not matter for tensors.
  case real
  case string(String)
  /// - depth: 1 for a tuple without tuples in it.
  case tuple([PickleValue], depth: Int)
  /// A list, whose content does not matter for tensors.
  case list
  /// A dictionary, ordered or not: its index among the machine's dictionaries, because later instructions add to it.
  case dictionary(Int)
  case global(PickleGlobal)
  indirect case storage(PickledStorage)
  indirect case tensor(PickledTensor)
}

/// The values that tensors are views of: an entry of the archive.
struct PickledStorage {
  /// The name of the entry below `data/`.
  var key: String
  /// The type of its values; nil for untyped bytes, whose type the tensor states.
  var type: ElementType?
  /// How many values it holds, or bytes if it has no type.
  var count: Int
}

/// A view of a storage. Its offset, shape and strides are unchecked, as the file states them.
struct PickledTensor {
  var storage: PickledStorage
  var type: ElementType
  /// The index of the first value in the storage.
  var offset: Int
  var shape: [Int]
  /// How many values apart neighbours are, along each dimension.
  var strides: [Int]
}

/// The only names that a pickle may look up. Each is a case and none is ever called: the machine knows what they would do.
enum PickleGlobal: Equatable {
  case orderedDictionary
  /// A view of a typed storage.
  case tensor
  /// A view of untyped bytes.
  case typedTensor
  case parameter
  case storage(ElementType?)
  case type(ElementType)

  /// Module and name as `torch.save` writes them.
  static let known: [String: PickleGlobal] = [
    "collections OrderedDict": .orderedDictionary,
    "torch._utils _rebuild_tensor_v2": .tensor,
    "torch._utils _rebuild_tensor_v3": .typedTensor,  // types without a storage class, such as FP8
    "torch._utils _rebuild_parameter": .parameter,
    "torch.storage UntypedStorage": .storage(nil),
    "torch DoubleStorage": .storage(.f64),
    "torch FloatStorage": .storage(.f32),
    "torch HalfStorage": .storage(.f16),
    "torch BFloat16Storage": .storage(.bf16),
    "torch LongStorage": .storage(.i64),
    "torch IntStorage": .storage(.i32),
    "torch ShortStorage": .storage(.i16),
    "torch CharStorage": .storage(.i8),
    "torch ByteStorage": .storage(.u8),
    "torch BoolStorage": .storage(.bool),
    "torch ComplexFloatStorage": .storage(.c64),
    "torch float64": .type(.f64),
    "torch float32": .type(.f32),
    "torch float16": .type(.f16),
    "torch bfloat16": .type(.bf16),
    "torch int64": .type(.i64),
    "torch int32": .type(.i32),
    "torch int16": .type(.i16),
    "torch int8": .type(.i8),
    "torch uint64": .type(.u64),
    "torch uint32": .type(.u32),
    "torch uint16": .type(.u16),
    "torch uint8": .type(.u8),
    "torch bool": .type(.bool),
    "torch complex64": .type(.c64),
    "torch float8_e4m3fn": .type(.f8e4m3),
    "torch float8_e5m2": .type(.f8e5m2),
    "torch float8_e8m0fnu": .type(.f8e8m0),
  ]
}

/// The instructions of the pickle format, by their bytes.
///
/// Specification: https://github.com/python/cpython/blob/main/Lib/pickletools.py
enum PickleOpcode: UInt8 {
  case mark = 0x28
  case emptyTuple = 0x29
  case stop = 0x2e
  case binFloat = 0x47
  case binInt = 0x4a
  case binInt1 = 0x4b
  case binInt2 = 0x4d
  case none = 0x4e
  case binPersistentID = 0x51
  case reduce = 0x52
  case binUnicode = 0x58
  case emptyList = 0x5d
  case append = 0x61
  case build = 0x62
  case global = 0x63
  case appends = 0x65
  case binGet = 0x68
  case longBinGet = 0x6a
  case binPut = 0x71
  case longBinPut = 0x72
  case setItem = 0x73
  case tuple = 0x74
  case setItems = 0x75
  case emptyDictionary = 0x7d
  case protocolVersion = 0x80
  case tuple1 = 0x85
  case tuple2 = 0x86
  case tuple3 = 0x87
  case newTrue = 0x88
  case newFalse = 0x89
  case long1 = 0x8a
  case shortBinUnicode = 0x8c
  case stackGlobal = 0x93
  case memoize = 0x94
  case frame = 0x95

  /// Names of the instructions that no dictionary of tensors needs.
  static let refused: [UInt8: String] = [
    0x30: "POP", 0x31: "POP_MARK", 0x32: "DUP", 0x42: "BINBYTES", 0x43: "SHORT_BINBYTES", 0x46: "FLOAT", 0x49: "INT", 0x4c: "LONG",
    0x50: "PERSID", 0x53: "STRING", 0x54: "BINSTRING", 0x55: "SHORT_BINSTRING", 0x56: "UNICODE", 0x64: "DICT", 0x67: "GET",
    0x69: "INST", 0x6c: "LIST", 0x6f: "OBJ", 0x70: "PUT", 0x81: "NEWOBJ", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x8b: "LONG4",
    0x8d: "BINUNICODE8", 0x8e: "BINBYTES8", 0x8f: "EMPTY_SET", 0x90: "ADDITEMS", 0x91: "FROZENSET", 0x92: "NEWOBJ_EX",
    0x96: "BYTEARRAY8", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
  ]
}
