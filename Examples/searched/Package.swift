// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "searched",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "qconvert", path: "../..")],
  targets: [
    .target(
      name: "SearchedPlugin",
      dependencies: [
        .product(name: "QuantCore", package: "qconvert")
      ]),
    .executableTarget(
      name: "qconvert-searched",
      dependencies: [
        "SearchedPlugin",
        .product(name: "QConvertKit", package: "qconvert"),
      ]),
    .testTarget(
      name: "SearchedPluginTests",
      dependencies: [
        "SearchedPlugin",
        .product(name: "QuantCore", package: "qconvert"),
      ]),
  ]
)
