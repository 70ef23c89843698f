/// Anything that can be added to qconvert without touching another module: a method, a set of schemes, a packing, a
/// format, or a model family. Write one type that conforms to one of the five axes and list it in `main`.
public protocol Plugin: Sendable {
  /// Unique within its axis; what people type (`awq`, `gguf`, `llama`).
  static var id: String { get }
  /// One sentence for lists.
  static var summary: String { get }
  /// Paper or specification.
  static var reference: String { get }
  /// What it is one of. Every axis has a protocol, which answers this.
  static var axis: PluginAxis { get }
}

/// The kinds of plug-ins, in the order of lists.
public enum PluginAxis: String, Sendable, CaseIterable {
  case method, scheme, preset, packing, format, family, importance, client
}

extension QuantizationMethod { public static var axis: PluginAxis { .method } }
extension SchemeProvider { public static var axis: PluginAxis { .scheme } }
extension PresetProvider { public static var axis: PluginAxis { .preset } }
extension Packing { public static var axis: PluginAxis { .packing } }
extension CheckpointReader { public static var axis: PluginAxis { .format } }
extension ModelFamily { public static var axis: PluginAxis { .family } }
extension ImportanceFormat { public static var axis: PluginAxis { .importance } }
extension ClientProfile { public static var axis: PluginAxis { .client } }

/// A set of schemes that share a rule, found by name.
public protocol SchemeProvider: Plugin {
  /// Names to show in lists, with `N` for a free number (`int4-gN`).
  static var schemeNames: [String] { get }
  /// The scheme of this exact name, or nil where the name is not of this set.
  /// - Parameter modelType: the element type of the source model; some projects store scales in it.
  static func scheme(named name: String, modelType: ElementType) -> (any Scheme)?
}

/// A preset name (`q4_k_m`, `w4a16`) that stands for a choice per tensor.
public protocol PresetProvider: Plugin {
  static var presetNames: [String] { get }
  /// The preset of this name, or nil.
  static func preset(named name: String) -> (any Preset)?
}

/// A choice of scheme for every tensor of a model.
public protocol Preset: Sendable {
  var name: String { get }
  /// Scheme names for the tensors of a model, in the order given.
  func choose(_ tensors: [PresetTensor], model: ModelDescription?) -> [PresetChoice]
  /// The scheme that is meant where a person wants one for all tensors; nil where no single one is.
  var pureScheme: String? { get }
  /// Schemes that this preset alone does not use in layers without importance, whoever chose them.
  var importantSchemes: Set<String> { get }
}

extension Preset {
  public var pureScheme: String? { nil }
  public var importantSchemes: Set<String> { [] }
}

/// What a preset may look at. Names and shapes are those of the target.
public struct PresetTensor: Sendable {
  /// Name in the target.
  public var name: String
  /// Dimensions, outermost first.
  public var shape: [Int]
  /// Whether the family (or, without one, the container's rule) lets this tensor be quantized.
  public var isQuantizable: Bool
  /// Its part in the model; nil without a family.
  public var id: TensorID?
  /// Whether importance was given for the model, so that searches can follow it.
  public var hasImportance = false
  /// Whether a person chose the scheme of this tensor, so that the preset's answer does not matter.
  public var isDecided = false
  /// Blocks that were taken out of the source, the same for all.
  public var droppedBlocks = 0
  /// The source's configuration, the same for all: it says what no family describes.
  public var configuration: Configuration?

  public init(name: String, shape: [Int], isQuantizable: Bool, id: TensorID?) {
    self.name = name
    self.shape = shape
    self.isQuantizable = isQuantizable
    self.id = id
  }
}

extension PresetTensor {
  /// Whether this is a linear layer of a block. The graph says so; without one the name has to do: embeddings and output
  /// matrices stand outside of any numbered block in every container.
  public func isBlockLinear(of model: ModelDescription?) -> Bool {
    guard shape.count == 2 else { return false }
    if let id, let model, let kind = model.kind(of: id) { return id.block != nil && kind.isWeight && !kind.isSensitive }
    let words = name.split(separator: ".")
    return words.last == "weight" && words.contains { Int($0) != nil } && !name.contains("norm")
  }
}

/// What a preset answers for one tensor.
public struct PresetChoice: Sendable, Equatable {
  /// A scheme name, or nil: keep the tensor in its unquantized type.
  public var scheme: String?
  /// How readers are to round the inputs of this layer, or nil: not at all.
  public var activations: ActivationScheme?
  /// Why it is not the preset's first choice (row length, policy), or nil.
  public var note: String?

  public init(scheme: String?, activations: ActivationScheme? = nil, note: String? = nil) {
    self.scheme = scheme
    self.activations = activations
    self.note = note
  }
}

/// One option of a method: `awq:clip=off`.
public struct OptionDeclaration: Sendable, Equatable {
  /// What stands before the `=`.
  public var name: String
  /// A few words for lists.
  public var summary: String
  /// As it would be typed.
  public var defaultValue: String
  public init(name: String, summary: String, defaultValue: String) {
    self.name = name
    self.summary = summary
    self.defaultValue = defaultValue
  }
}

/// The option values of a method as typed, checked against its declarations.
public struct OptionValues: Sendable, Equatable {
  private var values: [String: String]

  /// - Throws: `Failure` of kind usage for a name that is not declared.
  public init(_ given: [String: String], declarations: [OptionDeclaration], plugin: String) throws(Failure) {
    values = [:]
    for declaration in declarations { values[declaration.name] = declaration.defaultValue }
    for (name, value) in given.sorted(by: { $0.key < $1.key }) {
      guard values[name] != nil else {
        let known = declarations.map(\.name).joined(separator: ", ")
        throw Failure(
          .usage, "option.unknown", "plug-in '\(plugin)' has no option '\(name)'",
          remedy: known.isEmpty ? "It takes no options." : "Its options are: \(known).")
      }
      values[name] = value
    }
  }

  /// The value as typed, or an empty string for an undeclared name.
  public func string(_ name: String) -> String { values[name] ?? "" }

  /// An integer within `range`.
  public func integer(_ name: String, in range: ClosedRange<Int>) throws(Failure) -> Int {
    guard let value = Int(string(name)), range.contains(value) else { throw bad(name, "a whole number in \(range)") }
    return value
  }

  /// A number within `range`.
  public func number(_ name: String, in range: ClosedRange<Double>) throws(Failure) -> Double {
    guard let value = Double(string(name)), range.contains(value) else { throw bad(name, "a number in \(range)") }
    return value
  }

  /// `on` or `off` (also true, false, 1, 0).
  public func flag(_ name: String) throws(Failure) -> Bool {
    switch string(name) {
    case "on", "true", "1": return true
    case "off", "false", "0": return false
    default: throw bad(name, "on or off")
    }
  }

  /// One of the words of an option.
  public func choice(_ name: String, of words: [String]) throws(Failure) -> String {
    let value = string(name)
    guard words.contains(value) else { throw bad(name, "one of " + words.joined(separator: ", ")) }
    return value
  }

  private func bad(_ name: String, _ expected: String) -> Failure {
    Failure(.usage, "option.value", "option '\(name)' is '\(string(name))'", remedy: "Give \(expected).")
  }
}
