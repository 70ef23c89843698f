// swift-tools-version: 6.2
import PackageDescription

// A package of its own: in another repository, the dependency would be `.package(url: …, branch: …)`.
let package = Package(
  name: "ShrinkMethod",
  dependencies: [.package(name: "qconvert", path: "../..")],
  targets: [
    .executableTarget(
      name: "qconvert-shrink",
      dependencies: [
        .product(name: "QuantCore", package: "qconvert"),
        .product(name: "QConvertKit", package: "qconvert"),
      ])
  ]
)
