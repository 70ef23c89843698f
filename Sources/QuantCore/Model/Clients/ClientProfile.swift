/// A program that loads what is written: which containers it takes, and which layers it would refuse, or worse, misread.
///
/// A profile holds facts that were found by loading files with the program. It has no say in what is stored, only in what is
/// chosen and refused.
public protocol ClientProfile: Plugin {
  /// The newest version that the facts were checked with; it is assumed where none is asked for.
  static var version: ClientVersion { get }
  /// Ids of the formats that it loads.
  static var formats: [String] { get }
  /// Ids of the packings that it reads, the preferred first; those of plain numbers go without saying.
  static var packings: [String] { get }
  /// Whether it rounds the input of each linear layer as the type of the layer's weights asks for, which `--simulate` can do too.
  static var roundsInputsByType: Bool { get }
  /// Why it would not compute with a quantized layer as it is written, or nil.
  static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle?
  /// Why it would not compute with a folder as it is written, though it takes each layer by itself, or nil.
  static func obstacle(_ folder: ClientFolder, version: ClientVersion) -> ClientObstacle?
}

extension ClientProfile {
  public static var roundsInputsByType: Bool { false }
  public static func obstacle(_ folder: ClientFolder, version: ClientVersion) -> ClientObstacle? { nil }
}

/// The linear layers of a folder, as a client would meet them.
public struct ClientFolder: Sendable {
  public var quantized: [ClientLayer]
  /// Names of those that are left alone.
  public var unquantized: [String]

  public init(quantized: [ClientLayer], unquantized: [String]) {
    self.quantized = quantized
    self.unquantized = unquantized
  }
}

/// A quantized layer, as a client would meet it.
public struct ClientLayer: Sendable {
  /// Its tensor's name without `.weight`.
  public var name: String
  /// Id of the packing.
  public var packing: String
  public var grid: Grid
  /// How inputs are to be rounded; nil: not at all.
  public var activations: ActivationScheme?
  /// `[out, in]`.
  public var shape: [Int]

  public init(name: String, packing: String, grid: Grid, activations: ActivationScheme?, shape: [Int]) {
    self.name = name
    self.packing = packing
    self.grid = grid
    self.activations = activations
    self.shape = shape
  }
}

/// Why a client would refuse a layer, and what works instead.
public struct ClientObstacle: Sendable, Equatable {
  public var reason: String
  public var remedy: String

  public init(_ reason: String, remedy: String) {
    self.reason = reason
    self.remedy = remedy
  }
}

/// Numbers with dots between, compared one after the other; missing ones are 0.
public struct ClientVersion: Sendable, Comparable, ExpressibleByStringLiteral, CustomStringConvertible {
  private let numbers: [Int]

  /// Nil for anything but numbers with dots between.
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
