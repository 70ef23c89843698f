/// Facts about this build.
public enum QuantCoreInfo {
  /// Version of the program, recorded in every output.
  public static let version = "0.1.0"
}
