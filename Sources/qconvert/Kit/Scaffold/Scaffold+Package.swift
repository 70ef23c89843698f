/// What methods and schemes have in common.
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
        .target(name: "\(module)", dependencies: [.product(name: "QuantCore", package: "qconvert")]),
        .executableTarget(
          name: "qconvert-\(name)", dependencies: ["\(module)", .product(name: "QConvertKit", package: "qconvert")]),
        .testTarget(
          name: "\(module)Tests", dependencies: ["\(module)", .product(name: "QuantCore", package: "qconvert")]),
      ]
    )

    """
  }

  var program: String {
    let plugin = type + (kind == .method ? "" : "s")
    let lines = ["import QConvertKit", "import \(module)", "", "QConvert.main(plugins: QConvert.builtIn + [\(plugin).self])", ""]
    return lines.joined(separator: "\n")
  }

  var readme: String {
    """
    # \(name)

    A \(kind.rawValue) for qconvert. `Sources/\(module)` holds it, and `qconvert-\(name)` is qconvert with it built in.

    ```sh
    swift test                              # its tests
    swift build -c release                  # .build/release/qconvert-\(name)
    .build/release/qconvert-\(name) plugins   # lists \(kind.rawValue) '\(name)'
    .build/release/qconvert-\(name) model/ model-int4/ \(kind == .method ? "--scheme int4-g32 --plugin \(name)" : "--scheme \(name)-g32")
    ```

    """
  }
}
