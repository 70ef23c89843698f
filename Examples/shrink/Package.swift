// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "shrink",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "qconvert", path: "../..")],
  targets: [
    .target(
      name: "ShrinkPlugin",
      dependencies: [
        .product(name: "QuantCore", package: "qconvert")
      ]),
    .executableTarget(
      name: "qconvert-shrink",
      dependencies: [
        "ShrinkPlugin",
        .product(name: "QConvertKit", package: "qconvert"),
      ]),
    .testTarget(
      name: "ShrinkPluginTests",
      dependencies: [
        "ShrinkPlugin",
        .product(name: "QuantCore", package: "qconvert"),
      ]),
  ]
)
