import QuantCore

/// How values of one kind are written, both on the command line and in recipes.
struct ValueForm<Value>: Sendable {
  /// - Throws: `Failure` of kind usage if the entry is not such a value.
  let read: @Sendable (Entry) throws -> Value
  /// The value as a recipe holds it; nil: the key is left out.
  let write: @Sendable (Value) -> JSON?
}

extension ValueForm where Value == String {
  /// Any text; an empty one means that nothing was given.
  static let text = ValueForm { entry in
    guard let text = entry.text, !text.isEmpty else { throw entry.unexpected("some text") }
    return text
  } write: { text in
    text.isEmpty ? nil : .string(text)
  }
}

extension ValueForm where Value == String? {
  static let text = ValueForm {
    try ValueForm<String>.text.read($0)
  } write: {
    $0.map { .string($0) }
  }
}

extension ValueForm where Value == String? {
  /// The name of a scheme or preset, in upper or lower case.
  static let scheme = ValueForm {
    try ValueForm<String>.text.read($0).lowercased()
  } write: {
    $0.map { .string($0) }
  }
}

extension ValueForm where Value == Bool {
  /// `true` or `false`; `on` and `off` mean the same.
  static let flag = ValueForm { entry in
    switch entry.text {
    case "true", "on": return true
    case "false", "off": return false
    default: throw entry.unexpected("true or false")
    }
  } write: {
    .bool($0)
  }
}

extension ValueForm where Value == Int {
  static func wholeNumber(_ range: ClosedRange<Int>) -> ValueForm {
    ValueForm { entry in
      guard let number = entry.text.flatMap({ Int($0) }), range.contains(number) else {
        throw entry.unexpected("a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
      return number
    } write: {
      .int($0)
    }
  }
}

extension ValueForm where Value == Int? {
  static func wholeNumber(_ range: ClosedRange<Int>) -> ValueForm {
    ValueForm {
      try ValueForm<Int>.wholeNumber(range).read($0)
    } write: {
      $0.map { .int($0) }
    }
  }

  /// A size in bytes, with or without a unit.
  static let size = ValueForm { entry in
    guard let text = entry.text else { throw entry.unexpected("a size such as 5GB") }
    return try ByteSize.parse(text, option: entry.subject)
  } write: {
    $0.map { .int($0) }
  }
}

extension ValueForm where Value == Double? {
  /// A number greater than 0.
  static let positive = ValueForm { entry in
    guard let number = entry.text.flatMap({ Double($0) }), number > 0, number.isFinite else {
      throw entry.unexpected("a number greater than 0")
    }
    return number
  } write: {
    $0.map { .double($0) }
  }
}

extension ValueForm where Value == UInt64 {
  static let seed = ValueForm { entry in
    guard let number = entry.text.flatMap({ UInt64($0) }) else { throw entry.unexpected("a whole number that is not negative") }
    return number
  } write: {
    .number(String($0))
  }
}

extension ValueForm where Value == RangeCalibrator? {
  static let calibrator = ValueForm { entry in
    try RangeCalibrator(known: ValueForm<String>.text.read(entry))
  } write: {
    $0.map { .string($0.name) }
  }
}

extension ValueForm where Value: Equatable & Sendable {
  /// One of the words of a choice.
  static func oneOf<Choice: CaseIterable & RawRepresentable<String>>(_: Choice.Type, _ value: (Choice) -> Value) -> ValueForm {
    let words = Choice.allCases.map { (word: $0.rawValue, value: value($0)) }
    return ValueForm { entry in
      guard let found = words.first(where: { $0.word == entry.text }) else {
        throw entry.unexpected(words.map { $0.word }.joined(separator: " or "))
      }
      return found.value
    } write: { value in
      words.first { $0.value == value }.map { .string($0.word) }
    }
  }
}

extension ValueForm where Value == ReportPlace {
  /// `beside`, `none`, or a path.
  static let reportPlace = ValueForm { entry in
    switch try ValueForm<String>.text.read(entry) {
    case "beside": return .beside
    case "none": return .none
    case let path: return .file(path)
    }
  } write: { place in
    switch place {
    case .beside: .string("beside")
    case .none: .string("none")
    case .file(let path): .string(path)
    }
  }
}

extension ValueForm where Value == [String] {
  /// One text or a list of texts.
  static let texts = ValueForm { entry in
    try entry.elements.map { try ValueForm<String>.text.read($0) }
  } write: {
    .array($0.map { .string($0) })
  }

  /// The same; the key is left out if the list is empty.
  static let someTexts = ValueForm { entry in
    try texts.read(entry)
  } write: {
    $0.isEmpty ? nil : texts.write($0)
  }

  /// Names of schemes: a list, or one text that separates them by commas; left out if there are none.
  static let names = ValueForm { entry in
    try entry.elements.flatMap { SizeTables.names(try ValueForm<String>.text.read($0)) }.map { $0.lowercased() }
  } write: {
    $0.isEmpty ? nil : texts.write($0)
  }

  /// `PATTERN=SCHEME`, or a table with the single row `PATTERN: SCHEME`.
  static let tensorRules = ValueForm { entry in
    try entry.elements.map { element in
      if let text = element.text { return text }
      guard let row = element.pair, let scheme = row.value.text else { throw element.unexpected("PATTERN: SCHEME") }
      return row.key + "=" + scheme
    }
  } write: { rules in
    .array(
      rules.map { rule in
        guard let equals = rule.lastIndex(of: "=") else { return .string(rule) }
        return .object([.init(String(rule[..<equals]), .string(String(rule[rule.index(after: equals)...])))])
      })
  }
}

extension ValueForm where Value == [Int] {
  /// Whole numbers that are not negative: a list, or one text that separates them by commas; left out if there are none.
  static let someNumbers = ValueForm { entry in
    try entry.elements.flatMap { element in
      try ValueForm<String>.text.read(element).split(separator: ",", omittingEmptySubsequences: false).map { word in
        guard let number = Int32(word.drop { $0 == " " }), number >= 0 else { throw element.unexpected("numbers such as 4,5,6") }
        return Int(number)
      }
    }
  } write: { numbers in
    numbers.isEmpty ? nil : .array(numbers.map { .int($0) })
  }
}

extension ValueForm where Value == [(id: String, options: [String: String])] {
  /// `NAME:option=value,…`, or a table with one row: the name, and a table of options.
  static let methods = ValueForm { entry in
    try entry.elements.map { element in
      if let text = element.text {
        let argument = try PluginArgument(text)
        return (argument.id, argument.options)
      }
      guard let method = element.pair, case .table(let rows) = method.value.content else {
        throw element.unexpected("the name of a method, or NAME: {option: value}")
      }
      var options: [String: String] = [:]
      for (name, value) in rows { options[name] = try ValueForm<String>.text.read(value) }
      return (method.key, options)
    }
  } write: { methods in
    .array(
      methods.map { method in
        guard !method.options.isEmpty else { return .string(method.id) }
        let options = method.options.sorted { $0.key < $1.key }.map { JSON.Member($0.key, number($0.value) ?? .string($0.value)) }
        return .object([.init(method.id, .object(options))])
      })
  }

  /// A number if the text is exactly how that number would be printed.
  private static func number(_ text: String) -> JSON? {
    if let whole = Int(text), String(whole) == text { return .number(text) }
    if let value = Double(text), value.isFinite, "\(value)" == text { return .number(text) }
    return nil
  }
}

extension ValueForm where Value == [AdapterRequest] {
  /// `PATH:FACTOR`, or a table with the single row `PATH: FACTOR`; a path alone has the factor 1.
  static let adapters = ValueForm { entry in
    try entry.elements.map { element in
      if let row = element.pair {
        guard let factor = row.value.text.flatMap({ Double($0) }), factor.isFinite else { throw element.unexpected("PATH: FACTOR") }
        return AdapterRequest(path: row.key, factor: factor)
      }
      return AdapterRequest(typed: try ValueForm<String>.text.read(element))
    }
  } write: { adapters in
    // Text after a colon in the path could be misread as the factor.
    .array(adapters.map { $0.factor == 1 && !$0.path.contains(":") ? .string($0.path) : .object([.init($0.path, .double($0.factor))]) })
  }
}

extension ValueForm where Value == [Gate] {
  static let gates = ValueForm { entry in
    try entry.elements.map { element in
      guard let text = element.text else { throw element.unexpected("an expression such as 'kld.mean > 0.02'") }
      return try Gate(text)
    }
  } write: {
    .array($0.map { .string($0.description) })
  }
}
