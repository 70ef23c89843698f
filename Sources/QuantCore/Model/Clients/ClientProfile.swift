/// A program that loads what qconvert writes: which formats it loads, and which layers it would refuse or, worse, misread.
///
/// A profile holds facts that were found by loading files with the program. It does not change how anything is stored; it only
/// affects which packings are chosen and what is refused.
public protocol ClientProfile: Plugin {
  /// The newest version that the facts were checked with; assumed if the user names no version.
  static var version: ClientVersion { get }
  /// Ids of the formats that it loads.
  static var formats: [String] { get }
  /// Ids of the packings that it reads, the most preferred first. The packing of plain floats need not be listed.
  static var packings: [String] { get }
  /// Whether it rounds the input of each linear layer as the type of the layer's weights requires; `--simulate` can then do the same.
  static var roundsInputsByType: Bool { get }
  /// Roles of layers that it joins into one matrix, which therefore must be stored alike. If an expert's layers are among them, it also
  /// joins all experts of a block.
  static var jointLayers: [[TensorRole]] { get }
  /// Why it could not run a quantized layer that is stored like this, or nil if it can.
  static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle?
  /// Why it could not run a folder with these layers although it can run each of them alone, or nil if it can.
  static func obstacle(_ folder: ClientFolder, version: ClientVersion) -> ClientObstacle?
  /// What a person must know to load a folder with these layers, or nil. In messages, it follows the client's id and version.
  static func caution(_ folder: ClientFolder, version: ClientVersion) -> String?
}

extension ClientProfile {
  public static var roundsInputsByType: Bool { false }
  public static var jointLayers: [[TensorRole]] { [] }
  public static func obstacle(_ folder: ClientFolder, version: ClientVersion) -> ClientObstacle? { nil }
  public static func caution(_ folder: ClientFolder, version: ClientVersion) -> String? { nil }
}

/// The linear layers of a folder, as a client would load them.
public struct ClientFolder: Sendable {
  public var quantized: [ClientLayer] = []
  /// Names of the layers that are not quantized.
  public var unquantized: [String] = []
  /// What the configuration says of the kind of model (`falcon`), by which clients choose its class; nil: nothing.
  public var modelType: String?
  /// How the client rounds cached keys and values by stored scales; nil: not at all.
  public var cache: ActivationScheme?
  /// Whether experts are stored in stacks that are not quantized.
  public var hasPlainStacks = false

  /// How the weight of a layer is stored as codes, and how its input is rounded.
  public typealias Codes = (packing: String, grid: Grid, activations: ActivationScheme?)

  /// A folder without layers.
  public init(_ configuration: Configuration?) { modelType = configuration?.json?["model_type"]?.stringValue }

  /// Adds a tensor of the folder, if clients make a layer of it.
  /// - Parameters:
  ///   - name: as it is stored, without the parts of a packing (`X.weight`).
  ///   - id: what it is in the model; nil: unknown.
  ///   - codes: nil for floats.
  public mutating func add(_ name: String, shape: [Int], id: TensorID?, _ codes: Codes?, model: ModelDescription?) {
    let layer = QuantizedModule.name(ofWeight: name)
    if let codes {
      quantized.append(
        ClientLayer(
          name: layer, packing: codes.packing, grid: codes.grid, activations: codes.activations, shape: shape,
          isExpert: id?.expert != nil || ClientFolder.isOfExpert(layer)))
    } else if QuantizedModule.isLinear(name, shape: shape, id: id, model: model) {
      unquantized.append(layer)
    } else if id?.expert != nil, shape.count == 3 {
      hasPlainStacks = true
    }
  }

  /// Whether the name of a layer says that it is part of an expert, for models that no family knows.
  private static func isOfExpert(_ layer: String) -> Bool {
    let parts = layer.split(separator: ".")
    return zip(parts, parts.dropFirst()).contains { $0 == "experts" && Int($1) != nil }
  }
}

/// A quantized layer, as a client would load it.
public struct ClientLayer: Sendable {
  /// Name of its weight, without `.weight`.
  public var name: String
  /// Id of the packing.
  public var packing: String
  public var grid: Grid
  /// How the client rounds its input; nil: not at all.
  public var activations: ActivationScheme?
  /// `[out, in]`.
  public var shape: [Int]
  /// Whether it is part of one of several experts.
  public var isExpert: Bool

  public init(name: String, packing: String, grid: Grid, activations: ActivationScheme?, shape: [Int], isExpert: Bool = false) {
    self.name = name
    self.packing = packing
    self.grid = grid
    self.activations = activations
    self.shape = shape
    self.isExpert = isExpert
  }
}

/// Why a client would refuse a layer or a folder, and what works instead. In messages, `reason` follows the client's id and version.
public struct ClientObstacle: Sendable, Equatable {
  public var reason: String
  public var remedy: Remedy

  public init(_ reason: String, remedy: Remedy) {
    self.reason = reason
    self.remedy = remedy
  }
}

/// A version of numbers separated by dots. Versions are compared number by number; missing numbers are 0.
public struct ClientVersion: Sendable, Comparable, ExpressibleByStringLiteral, CustomStringConvertible {
  private let numbers: [Int]

  /// Nil for anything but numbers separated by dots.
  public init?(_ text: String) {
    let words = text.split(separator: ".", omittingEmptySubsequences: false)
    numbers = words.compactMap { Int($0) }.filter { $0 >= 0 }
    if numbers.count != words.count { return nil }
  }

  public init(stringLiteral text: String) { numbers = text.split(separator: ".").compactMap { Int($0) } }

  public var description: String { numbers.map { String($0) }.joined(separator: ".") }

  public static func < (left: ClientVersion, right: ClientVersion) -> Bool {
    for index in 0..<max(left.numbers.count, right.numbers.count) {
      let own = index < left.numbers.count ? left.numbers[index] : 0
      let other = index < right.numbers.count ? right.numbers[index] : 0
      if own != other { return own < other }
    }
    return false
  }

  public static func == (left: ClientVersion, right: ClientVersion) -> Bool { !(left < right) && !(right < left) }
}

extension ClientProfile { public static var axis: PluginAxis { .client } }
