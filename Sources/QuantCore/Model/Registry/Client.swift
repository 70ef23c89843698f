/// The client that an output is made for, as the user names it: `vllm`, or `vllm@0.11`.
package struct Client {
  package let profile: any ClientProfile.Type
  package let version: ClientVersion

  /// - Throws: `Failure` of kind usage for an unknown client or a malformed version.
  package init(named text: String, _ registry: Registry) throws(Failure) {
    let words = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
    guard let profile = registry.clients.first(where: { $0.id == words[0] }) else {
      throw Registry.unknown("client", "client.unknown", words[0], among: registry.clients.map { $0.id })
    }
    self.profile = profile
    guard words.count == 2 else {
      version = profile.version
      return
    }
    guard let version = ClientVersion(words[1]) else {
      throw Failure(
        .usage, "client.version", "'\(words[1])' is not a version of \(profile.id)",
        remedy: "Give numbers, such as \(profile.id)@\(profile.version).")
    }
    self.version = version
  }
}
