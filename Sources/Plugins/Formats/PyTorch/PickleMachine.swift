import QuantCore

/// Reads a pickle of tensors with an interpreter that can do nothing else: it knows the instructions and names that
/// `torch.save` writes for a dictionary of tensors, and refuses all others. Nothing is ever imported or called.
struct PickleMachine {
  /// Dictionaries, in the order in which they were made.
  private(set) var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []

  private var reader: ByteReader
  private var stack: [PickleValue] = []
  /// The lengths of the stack when marks were set.
  private var marks: [Int] = []
  private var memo: [PickleValue] = []
  /// The position of the current instruction.
  private var position = 0

  /// A pickle of 100 000 tensors has about 15 MB.
  static let maximumBytes = 32 << 20
  /// `torch.save` writes dictionaries a thousand pairs at a time.
  private static let maximumDepth = 10_000
  /// A tensor's arguments hold its shape; no tensor needs deeper nesting, and freeing it would need an equally deep stack.
  private static let maximumNesting = 4

  /// - Throws: `Failure` `limit.pickle-size`, without a byte offset.
  init(_ pickle: ByteView) throws(Failure) {
    guard pickle.count <= PickleMachine.maximumBytes else {
      throw Failure(
        .data, "limit.pickle-size", "its pickle has \(pickle.count) bytes; at most \(PickleMachine.maximumBytes) are supported")
    }
    reader = ByteReader(pickle)
  }

  /// The value that the pickle describes.
  /// - Throws: `Failure` `pt.pickle.…` with its byte offset in the pickle.
  mutating func run() throws(Failure) -> PickleValue {
    while true {
      position = reader.offset
      let opcode: PickleOpcode
      do throws(Failure) {
        opcode = try next()
        try execute(opcode)
      } catch {
        throw error.id == ByteReader.truncated.id ? truncated : error
      }
      if opcode == .stop { break }
      guard stack.count + marks.count <= PickleMachine.maximumDepth else {
        throw failure("limit.pickle-depth", "puts more than \(PickleMachine.maximumDepth) values on the stack")
      }
    }
    let result = try pop()
    guard stack.isEmpty, marks.isEmpty, reader.remaining == 0 else {
      throw failure("pt.pickle.end", "ends with values left on the stack, or is followed by more bytes")
    }
    return result
  }

  private mutating func next() throws(Failure) -> PickleOpcode {
    let byte = try reader.u8()
    guard let opcode = PickleOpcode(rawValue: byte) else { throw refusal(of: byte) }
    return opcode
  }

  private mutating func execute(_ opcode: PickleOpcode) throws(Failure) {
    switch opcode {
    case .protocolVersion:
      let version = try reader.u8()
      guard position == 0, (2...5).contains(version) else {
        throw failure("pt.pickle.protocol", "has protocol \(version); only 2 to 5 are supported")
      }
    case .frame: try reader.skip(8)
    case .none: stack.append(.none)
    case .newTrue: stack.append(.bool(true))
    case .newFalse: stack.append(.bool(false))
    case .binInt: stack.append(.integer(Int(Int32(bitPattern: try reader.u32()))))
    case .binInt1: stack.append(.integer(Int(try reader.u8())))
    case .binInt2: stack.append(.integer(Int(try reader.u16())))
    case .long1: stack.append(.integer(try long()))
    case .binFloat:
      try reader.skip(8)
      stack.append(.real)
    case .binUnicode: stack.append(.string(try string(Int(try reader.u32()))))
    case .shortBinUnicode: stack.append(.string(try string(Int(try reader.u8()))))
    case .emptyTuple: stack.append(try tuple([]))
    case .tuple1: stack.append(try tuple(try pop(1)))
    case .tuple2: stack.append(try tuple(try pop(2)))
    case .tuple3: stack.append(try tuple(try pop(3)))
    case .tuple: stack.append(try tuple(try popToMark()))
    case .mark: marks.append(stack.count)
    case .emptyList: stack.append(.list)
    case .append:
      _ = try pop()
      guard case .list = try top() else { throw mismatch("a list") }
    case .appends:
      _ = try popToMark()
      guard case .list = try top() else { throw mismatch("a list") }
    case .emptyDictionary: stack.append(newDictionary())
    case .setItem: try setItems(try pop(2))
    case .setItems: try setItems(try popToMark())
    case .binPut: try put(Int(try reader.u8()))
    case .longBinPut: try put(Int(try reader.u32()))
    case .memoize: try put(memo.count)
    case .binGet: try get(Int(try reader.u8()))
    case .longBinGet: try get(Int(try reader.u32()))
    case .global: stack.append(.global(try global(try line() + " " + line())))
    case .stackGlobal:
      let names = try pop(2)
      guard case .string(let module) = names[0], case .string(let name) = names[1] else { throw mismatch("two names") }
      stack.append(.global(try global(module + " " + name)))
    case .binPersistentID: stack.append(.storage(try storage(try pop())))
    case .reduce:
      let call = try pop(2)
      guard case .global(let global) = call[0], case .tuple(let arguments, _) = call[1] else { throw mismatch("a name and its arguments") }
      stack.append(try build(global, arguments))
    case .build:
      // The attributes of a dictionary (versions of its modules) say nothing about tensors.
      let pair = try pop(2)
      guard case .dictionary = pair[0], case .dictionary = pair[1] else { throw mismatch("a dictionary and its attributes") }
      stack.append(pair[0])
    case .stop: break
    }
  }

  // MARK: - Operands

  /// An integer of up to eight bytes, little-endian, two's complement.
  private mutating func long() throws(Failure) -> Int {
    let count = Int(try reader.u8())
    guard count <= 8 else { throw failure("pt.pickle.value", "has an integer of \(count) bytes") }
    let bytes = try reader.view(count).bytes
    let isNegative = (bytes.last ?? 0) & 0x80 != 0
    var value: UInt64 = isNegative ? .max : 0
    for byte in bytes.reversed() { value = value << 8 | UInt64(byte) }
    return Int(Int64(bitPattern: value))
  }

  private mutating func string(_ count: Int) throws(Failure) -> String {
    guard let text = String(validating: try reader.view(count).bytes, as: UTF8.self) else {
      throw failure("pt.pickle.value", "has a string that is not UTF-8")
    }
    return text
  }

  /// Text up to a line feed.
  private mutating func line() throws(Failure) -> String {
    var bytes: [UInt8] = []
    while true {
      let byte = try reader.u8()
      if byte == 0x0a { break }
      bytes.append(byte)
      guard bytes.count <= 1024 else { throw failure("pt.pickle.value", "has a name of more than 1024 bytes") }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func global(_ name: String) throws(Failure) -> PickleGlobal {
    if let global = PickleGlobal.known[name] { return global }
    let shown = JSON.string(String(name.replacing(" ", with: ".").prefix(100))).text()
    throw refusal("pt.pickle.global", "asks for \(shown)")
  }

  // MARK: - Stack and memo

  private mutating func pop() throws(Failure) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.popLast() else {
      throw failure("pt.pickle.stack", "takes a value from an empty stack")
    }
    return value
  }

  private mutating func pop(_ count: Int) throws(Failure) -> [PickleValue] {
    guard stack.count - (marks.last ?? 0) >= count else { throw failure("pt.pickle.stack", "takes a value from an empty stack") }
    let values = Array(stack.suffix(count))
    stack.removeLast(count)
    return values
  }

  private mutating func popToMark() throws(Failure) -> [PickleValue] {
    guard let mark = marks.popLast(), mark <= stack.count else { throw failure("pt.pickle.stack", "has no mark where one is needed") }
    let values = Array(stack[mark...])
    stack.removeLast(values.count)
    return values
  }

  private func top() throws(Failure) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.last else { throw failure("pt.pickle.stack", "reads from an empty stack") }
    return value
  }

  /// Python numbers memo entries consecutively, so the memo cannot grow beyond the pickle.
  private mutating func put(_ index: Int) throws(Failure) {
    let value = try top()
    if index < memo.count {
      memo[index] = value
    } else if index == memo.count {
      memo.append(value)
    } else {
      throw failure("pt.pickle.memo", "stores memo entry \(index), but has only \(memo.count) so far")
    }
  }

  private mutating func get(_ index: Int) throws(Failure) {
    guard index < memo.count else { throw failure("pt.pickle.memo", "reads memo entry \(index), but has only \(memo.count) so far") }
    stack.append(memo[index])
  }

  // MARK: - Meaning

  private mutating func newDictionary() -> PickleValue {
    dictionaries.append([])
    return .dictionary(dictionaries.count - 1)
  }

  private mutating func setItems(_ items: [PickleValue]) throws(Failure) {
    guard case .dictionary(let index) = try top(), items.count.isMultiple(of: 2) else { throw mismatch("a dictionary and pairs") }
    for position in stride(from: 0, to: items.count, by: 2) { dictionaries[index].append((items[position], items[position + 1])) }
  }

  private func tuple(_ values: [PickleValue]) throws(Failure) -> PickleValue {
    var depth = 1
    for case .tuple(_, let inner) in values { depth = max(depth, inner + 1) }
    guard depth <= PickleMachine.maximumNesting else {
      throw failure("limit.pickle-depth", "nests tuples more than \(PickleMachine.maximumNesting) deep")
    }
    return .tuple(values, depth: depth)
  }

  /// What calling a name with its arguments would give.
  private mutating func build(_ global: PickleGlobal, _ arguments: [PickleValue]) throws(Failure) -> PickleValue {
    switch global {
    case .orderedDictionary where arguments.isEmpty: return newDictionary()
    case .tensor where (6...7).contains(arguments.count): return .tensor(try tensor(arguments, type: nil))
    case .typedTensor where (7...8).contains(arguments.count):
      guard case .global(.type(let type)) = arguments[6] else { throw mismatch("a tensor's type") }
      return .tensor(try tensor(arguments, type: type))
    case .parameter where arguments.count == 3:
      guard case .tensor(let tensor) = arguments[0] else { throw mismatch("a parameter's tensor") }
      return .tensor(tensor)
    default: throw mismatch("the arguments of \(global)")
    }
  }

  /// `(storage, offset, shape, strides, …)`.
  private func tensor(_ arguments: [PickleValue], type: ElementType?) throws(Failure) -> PickledTensor {
    guard case .storage(let storage) = arguments[0], case .integer(let offset) = arguments[1], let type = type ?? storage.type,
      let shape = integers(arguments[2]), let strides = integers(arguments[3])
    else { throw mismatch("the arguments of a tensor") }
    return PickledTensor(storage: storage, type: type, offset: offset, shape: shape, strides: strides)
  }

  private func integers(_ value: PickleValue) -> [Int]? {
    guard case .tuple(let values, _) = value else { return nil }
    var result: [Int] = []
    for value in values {
      guard case .integer(let number) = value else { return nil }
      result.append(number)
    }
    return result
  }

  /// `("storage", type, key, device, count)`.
  private func storage(_ id: PickleValue) throws(Failure) -> PickledStorage {
    guard case .tuple(let parts, _) = id, parts.count == 5, case .string("storage") = parts[0], case .global(.storage(let type)) = parts[1],
      case .string(let key) = parts[2], case .string = parts[3], case .integer(let count) = parts[4], count >= 0
    else { throw mismatch("a storage") }
    return PickledStorage(key: key, type: type, count: count)
  }

  // MARK: - Failures

  private var truncated: Failure {
    Failure(
      .data, "pt.pickle.truncated", "its pickle ends in the middle of an instruction", byteOffset: position,
      remedy: "Fetch the file again; it is incomplete.")
  }

  private func failure(_ id: String, _ message: String) -> Failure {
    Failure(.data, id, "its pickle " + message, byteOffset: position)
  }

  private func mismatch(_ expected: String) -> Failure { failure("pt.pickle.value", "has something else where \(expected) is needed") }

  private func refusal(of byte: UInt8) -> Failure {
    guard let name = PickleOpcode.refused[byte] else {
      return failure("pt.pickle.opcode", "has the byte \(byte), which is not an instruction")
    }
    return refusal("pt.pickle.opcode", "has the instruction \(name)")
  }

  private func refusal(_ id: String, _ message: String) -> Failure {
    Failure(
      .unsupported, id, "its pickle \(message), which no dictionary of tensors needs; nothing was executed", byteOffset: position,
      remedy: "If you trust it, load it with torch.load and save only the model's state_dict().")
  }
}
