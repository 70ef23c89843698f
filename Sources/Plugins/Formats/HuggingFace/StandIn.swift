public import QuantCore

public enum HuggingFaceFormat: Sendable {
  public static let id = "huggingface"
  public static let summary = "stand-in"
  public static let reference = "stand-in"
  public static let fileExtensions: [String] = []
  public static let isFolder = true
  public static func recognises(_ path: String) -> Bool { false }
  public static func open(_ path: String, options: OpenOptions) throws -> Checkpoint { throw Failure(.unsupported, "stand-in", "") }
}

public enum SafetensorsFormat: Sendable {
  public static let id = "safetensors"
  public static let summary = "stand-in"
  public static let reference = "stand-in"
  public static let fileExtensions: [String] = ["safetensors"]
  public static let isFolder = false
  public static func recognises(_ path: String) -> Bool { false }
  public static func open(_ path: String, options: OpenOptions) throws -> Checkpoint { throw Failure(.unsupported, "stand-in", "") }
}
