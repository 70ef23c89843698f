import QuantCore

/// A method with its options as typed: `awq:clip=off,grid=20`.
struct PluginArgument: Equatable {
  var id: String
  var options: [String: String]

  /// - Throws: `Failure` of kind usage if the text is not `NAME[:k=v,...]`, or an option is given twice.
  init(_ text: String) throws(Failure) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    id = String(parts[0])
    options = [:]
    guard !id.isEmpty else { throw PluginArgument.malformed(text) }
    guard parts.count == 2 else { return }
    for pair in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
      let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard halves.count == 2, !halves[0].isEmpty, !halves[1].isEmpty else { throw PluginArgument.malformed(text) }
      let name = String(halves[0])
      guard options.updateValue(String(halves[1]), forKey: name) == nil else {
        throw Failure(
          .usage, "plugin.option-twice", "option '\(name)' is given twice in '\(text)'", remedy: "Give it once.")
      }
    }
  }

  private static func malformed(_ text: String) -> Failure {
    Failure(
      .usage, "plugin.syntax", "'\(text)' is not a method with options",
      remedy: "Write NAME or NAME:option=value,option=value, such as awq:clip=off.")
  }
}
