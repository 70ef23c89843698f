// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "heron",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "qconvert", path: "../..")],
  targets: [
    .target(
      name: "HeronPlugin",
      dependencies: [
        .product(name: "QuantCore", package: "qconvert"),
        .product(name: "FamilyKit", package: "qconvert"),
      ]),
    .executableTarget(
      name: "qconvert-heron",
      dependencies: [
        "HeronPlugin",
        .product(name: "QConvertKit", package: "qconvert"),
      ]),
    .testTarget(
      name: "HeronPluginTests",
      dependencies: [
        "HeronPlugin",
        .product(name: "QuantCore", package: "qconvert"),
        .product(name: "QConvertKit", package: "qconvert"),
      ]),
  ]
)
