// swift-tools-version: 6.2
import PackageDescription

// One set of rules for every Swift target: language mode 6, no implicit `any`, imports are internal and explicit,
// and a warning fails the build.
let rules: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error),
]

// Hot loops are C. They are fast only in release builds: SwiftPM treats optimizer flags as "unsafe", and a package with unsafe flags
// cannot be a versioned dependency.
let kernelRules: [CSetting] = [.enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error)]

// The layers of the core, the lowest first. Each may depend on those before it in this list and on none after it; their dependencies
// are declared below.
let layers = ["Base", "Numbers", "Text", "Model", "Engine", "Conversion"]

func layer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: "Quant" + name, dependencies: dependencies, path: "Sources/QuantCore/" + name, swiftSettings: rules)
}

// Whoever imports QuantCore depends on the layers that it exports, too: QuantCore's own module does not change when they do, and a build would
// leave the users of a changed layer as they are.
let core: [Target.Dependency] = ["QuantCore"] + layers.map { .target(name: "Quant" + $0) }

/// A plug-in depends on QuantCore and on nothing else (except a kit, its own C target, and the C library).
func plugin(_ name: String, _ path: String, with others: [Target.Dependency] = [], exclude: [String] = []) -> Target {
  .target(name: name, dependencies: core + others, path: "Sources/Plugins/" + path, exclude: exclude, swiftSettings: rules)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: core + dependencies + ["QuantPlatform"], path: "Tests/" + name, resources: resources,
    swiftSettings: rules)
}

// The modules of the plug-ins that the `qconvert` binary contains: a name here, and a line in Kit/BuiltIn.swift.
let builtIn = [
  "RTN", "AWQ", "GPTQ", "SmoothQuant", "Rotation", "ZeroQuant", "LowRank", "HalfQuadratic", "HuggingFace", "GGUF", "PyTorch",
  "CompressedTensors",
  "GPTQContainer", "AWQContainer", "Float8", "ModelOpt", "GPTOSS", "BitsAndBytes", "HQQ", "MLX", "TorchAO", "ModelFamilies", "Clients",
]
let builtInTargets = builtIn.map { Target.Dependency(stringLiteral: $0) }

// Only `make docs` needs the plug-in that builds the API documentation: no other build should have to fetch it.
let documentation: [Package.Dependency] =
  Context.environment["QCONVERT_DOCS"] == nil ? [] : [.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0")]

// Only `make fuzz-parsers` builds the program that gives random bytes to parsers: its main function belongs to the compiler's fuzzer.
let fuzzing: [Target] =
  Context.environment["QCONVERT_FUZZ"] == nil
  ? []
  : [
    .executableTarget(
      name: "parsers",
      dependencies: core + [
        "QuantPlatform", "GGUF", "HuggingFace", "PyTorch", "FolderKit", "QConvertKit",
      ], path: "Tests/Fuzz/Parsers", swiftSettings: rules)
  ]

let package = Package(
  name: "qconvert",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "QuantCore", targets: ["QuantCore"] + layers.map { "Quant" + $0 }),
    .library(name: "FamilyKit", targets: ["FamilyKit"]),
    .library(name: "FolderKit", targets: ["FolderKit"]),
    .library(name: "QConvertKit", targets: ["QConvertKit"]),
    .executable(name: "qconvert", targets: ["qconvert"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ] + documentation,
  targets: [
    // MARK: Core
    .target(name: "QuantPlatform", path: "Sources/QuantCore/Platform", swiftSettings: rules),
    .target(name: "CKernels", path: "Sources/QuantCore/CKernels", cSettings: kernelRules),
    layer("Base", ["QuantPlatform", "CKernels"]),
    layer("Numbers", ["QuantBase", "CKernels"]),
    layer("Text", ["QuantBase", "QuantNumbers"]),
    layer("Model", ["QuantPlatform", "QuantBase", "QuantNumbers", "QuantText", "CKernels"]),
    layer("Engine", ["QuantPlatform", "QuantBase", "QuantNumbers", "QuantText", "QuantModel", "CKernels"]),
    layer("Conversion", ["QuantPlatform", "QuantBase", "QuantNumbers", "QuantText", "QuantModel", "QuantEngine", "CKernels"]),
    .target(
      name: "QuantCore", dependencies: ["QuantConversion"], path: "Sources/QuantCore", exclude: ["CKernels", "Platform"] + layers,
      sources: ["QuantCore.swift"], swiftSettings: rules),

    // MARK: Plug-ins
    plugin("RTN", "Methods/RTN"),
    plugin("AWQ", "Methods/AWQ"),
    plugin("GPTQ", "Methods/GPTQ"),
    plugin("SmoothQuant", "Methods/SmoothQuant"),
    plugin("Rotation", "Methods/Rotation"),
    plugin("ZeroQuant", "Methods/ZeroQuant"),
    plugin("LowRank", "Methods/LowRank"),
    plugin("HalfQuadratic", "Methods/HalfQuadratic"),
    .target(name: "CBlocks", dependencies: ["CKernels"], path: "Sources/Plugins/Formats/GGUF/CBlocks", cSettings: kernelRules),
    plugin("GGUF", "Formats/GGUF", with: ["CBlocks", "QuantPlatform"], exclude: ["CBlocks"]),
    .target(
      name: "HuggingFace", dependencies: core + ["FolderKit", .product(name: "Yams", package: "Yams")],
      path: "Sources/Plugins/Formats/HuggingFace", swiftSettings: rules),
    plugin("FolderKit", "FolderKit"),
    plugin("CompressedTensors", "Formats/CompressedTensors", with: ["FolderKit"]),
    plugin("Float8", "Formats/Float8", with: ["FolderKit"]),
    plugin("ModelOpt", "Formats/ModelOpt", with: ["FolderKit"]),
    plugin("GPTOSS", "Formats/GPTOSS"),
    .systemLibrary(name: "CZlib", path: "Sources/Plugins/Formats/PyTorch/CZlib", providers: [.apt(["zlib1g-dev"])]),
    plugin("PyTorch", "Formats/PyTorch", with: ["FolderKit", "CZlib"], exclude: ["CZlib"]),
    plugin("BitsAndBytes", "Formats/BitsAndBytes"),
    plugin("HQQ", "Formats/HQQ"),
    plugin("MLX", "Formats/MLX", with: ["FolderKit"]),
    plugin("TorchAO", "Formats/TorchAO"),
    plugin("GPTQContainer", "Formats/GPTQContainer", with: ["FolderKit"]),
    plugin("AWQContainer", "Formats/AWQContainer", with: ["FolderKit"]),
    plugin("FamilyKit", "FamilyKit", with: ["QuantPlatform"]),
    .target(
      name: "ModelFamilies", dependencies: core + ["FamilyKit"], path: "Sources/Plugins/Families", swiftSettings: rules),
    plugin("Clients", "Clients"),

    // MARK: Program
    .target(name: "CMemory", path: "Sources/qconvert/CMemory", cSettings: kernelRules),
    .target(
      name: "QConvertKit",
      dependencies: core + [
        "QuantPlatform", "CMemory",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Yams", package: "Yams"),
      ] + builtInTargets,
      path: "Sources/qconvert/Kit", swiftSettings: rules),
    .executableTarget(name: "qconvert", dependencies: ["QConvertKit"], path: "Sources/qconvert/Main", swiftSettings: rules),

    // MARK: Tests
    .target(name: "TestSupport", dependencies: core + ["QuantPlatform"], path: "Tests/TestSupport", swiftSettings: rules),
    tests("QuantCore", ["CKernels", "TestSupport"]),
    tests("Text", ["GGUF", "TestSupport"]),
    tests("Engine", ["HuggingFace", "GGUF", "CompressedTensors", "FamilyKit", "ModelFamilies", "TestSupport"]),
    tests(
      "Methods", ["RTN", "AWQ", "GPTQ", "SmoothQuant", "Rotation", "ZeroQuant", "LowRank", "HalfQuadratic", "HQQ", "GGUF", "TestSupport"]),
    tests("HuggingFace", ["FolderKit", "HuggingFace", "TestSupport"]),
    tests("GGUF", ["GGUF", "FamilyKit", "CBlocks", "TestSupport"]),
    tests("CompressedTensors", ["CompressedTensors", "FolderKit", "TestSupport"]),
    tests(
      "FloatContainers",
      ["CompressedTensors", "Float8", "ModelOpt", "GPTOSS", "HuggingFace", "ModelFamilies", "TestSupport"]),
    tests("PyTorch", ["FolderKit", "PyTorch", "HuggingFace", "TestSupport"]),
    tests(
      "QuantizedFolders",
      ["HuggingFace", "BitsAndBytes", "HQQ", "TorchAO", "CompressedTensors", "ModelFamilies", "TestSupport"]),
    tests(
      "IntegerContainers",
      [
        "GPTQContainer", "AWQContainer", "MLX", "CompressedTensors", "HuggingFace", "GGUF", "ModelFamilies", "TestSupport",
      ]),
    tests("Hostile", ["FolderKit", "HuggingFace", "GGUF", "TestSupport"]),
    tests("CommandLine", ["QConvertKit", "Clients", "FamilyKit", "TestSupport"]),
  ] + fuzzing
)
