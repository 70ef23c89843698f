/// What plug-ins of every kind have in common.
extension Scaffold {
  var package: String {
    """
    // swift-tools-version: 6.2
    import PackageDescription

    let package = Package(
      name: "\(name)",
      platforms: [.macOS(.v15)],
      dependencies: [\(dependency)],
      targets: [
        .target(
          name: "\(module)",
          dependencies: [
    \(list(products(["QuantCore"] + kits)))
          ]),
        .executableTarget(
          name: "qconvert-\(name)",
          dependencies: [
    \(list(["\"\(module)\""] + products(["QConvertKit"])))
          ]),
        .testTarget(
          name: "\(module)Tests",
          dependencies: [
    \(list(["\"\(module)\""] + products(["QuantCore"] + testKits)))
          ]),
      ]
    )

    """
  }

  private func products(_ names: [String]) -> [String] { names.map { ".product(name: \"\($0)\", package: \"qconvert\")" } }

  /// A line for each element; several end with a comma each.
  private func list(_ elements: [String]) -> String {
    elements.map { "        " + $0 + (elements.count > 1 ? "," : "") }.joined(separator: "\n")
  }

  /// Libraries of qconvert that the plug-in uses beside QuantCore.
  private var kits: [String] { kind == .family ? ["FamilyKit"] : [] }
  /// Those that its tests use.
  private var testKits: [String] { kind == .family ? ["QConvertKit"] : [] }

  var program: String {
    let imports = [module, "QConvertKit"].sorted().map { "import \($0)\n" }.joined()
    return imports + "\n\(entry).main(plugins: \(entry).builtIn + [\(registered).self])\n"
  }

  /// The type of QConvertKit that starts a program and lists the built-in plug-ins.
  var entry: String { "QConvert" }

  /// The type that the program lists: schemes are found by their provider.
  private var registered: String { kind == .scheme ? type + "s" : type }

  var readme: String {
    """
    # \(name)

    A \(kind.rawValue) for qconvert. `Sources/\(module)` holds it, and `qconvert-\(name)` is qconvert with it built in.

    ```sh
    swift test                              # its tests
    swift build -c release                  # .build/release/qconvert-\(name)
    .build/release/qconvert-\(name) plugins   # lists \(kind.rawValue) '\(name)'
    .build/release/qconvert-\(name) \(use)
    ```

    """
  }

  /// A command line that uses the plug-in.
  private var use: String {
    switch kind {
    case .method: "model/ model-int4/ --scheme int4-g32 --plugin \(name)"
    case .scheme: "model/ model-int4/ --scheme \(name)-g32"
    case .packing: "model/ model-int4/ --scheme int4-g32 --packing \(name)"
    case .format: "model/ model.\(name)"
    case .family: "model/ model.gguf --scheme q4_k_m   # a model of class \(camel)ForCausalLM"
    }
  }
}
