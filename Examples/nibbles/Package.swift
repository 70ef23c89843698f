// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "nibbles",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "qconvert", path: "../..")],
  targets: [
    .target(
      name: "NibblesPlugin",
      dependencies: [
        .product(name: "QuantCore", package: "qconvert")
      ]),
    .executableTarget(
      name: "qconvert-nibbles",
      dependencies: [
        "NibblesPlugin",
        .product(name: "QConvertKit", package: "qconvert"),
      ]),
    .testTarget(
      name: "NibblesPluginTests",
      dependencies: [
        "NibblesPlugin",
        .product(name: "QuantCore", package: "qconvert"),
      ]),
  ]
)
