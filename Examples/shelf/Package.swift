// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "shelf",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "qconvert", path: "../..")],
  targets: [
    .target(
      name: "ShelfPlugin",
      dependencies: [
        .product(name: "QuantCore", package: "qconvert")
      ]),
    .executableTarget(
      name: "qconvert-shelf",
      dependencies: [
        "ShelfPlugin",
        .product(name: "QConvertKit", package: "qconvert"),
      ]),
    .testTarget(
      name: "ShelfPluginTests",
      dependencies: [
        "ShelfPlugin",
        .product(name: "QuantCore", package: "qconvert"),
      ]),
  ]
)
