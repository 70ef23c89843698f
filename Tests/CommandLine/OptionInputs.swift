import Glibc
import QuantCore
import TestSupport

@testable import QConvertKit

/// Small inputs of every kind that options distinguish, and command lines that use them.
struct OptionInputs {
  private let folder = TemporaryFolder()
  /// The paths that replace words in capitals in a command line.
  private let words: [String: String]

  /// - Parameter needed: the files to make by conversion or calibration; nil: all.
  init(_ needed: Set<String>? = nil) throws {
    let model = SharedData.fixture("models/tiny-llama"), small = SharedData.fixture("engine/llama3-rope")
    let sentencePiece = SharedData.fixture("tokenizers/sentencepiece/tokenizer.model")
    let evaluation = readFile(SharedData.fixture("text/evaluation.txt"))
    // The configuration of another model: the changed value affects no tensor's shape.
    func changed(_ folder: String) -> [UInt8] {
      Array(String(decoding: readFile(folder + "/config.json"), as: UTF8.self).replacing("1e-05", with: "2e-01").utf8)
    }
    let texts: [(name: String, bytes: [UInt8])] = [
      ("a.txt", Array(evaluation.prefix(4000))), ("b.txt", Array(evaluation.dropFirst(4000).prefix(4000))),
      ("ids.txt", Array("1 2 3".utf8)), ("other-ids.txt", Array("4 5".utf8)),
      ("types.txt", Array("attn_v=q8_0\nffn_up=q5_0\n".utf8)), ("empty.txt", []),
      ("recipe.yaml", Array("scheme: q8_0\n".utf8)), ("config.json", changed(model)), ("small.json", changed(small)),
    ]
    for (name, bytes) in texts { writeFile(folder.file(name), bytes) }
    let pictures = try RandomModel.copy("qwen2.5-vl", into: folder)
    writeFile(pictures + "/preprocessor_config.json", Array(#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [1, 1, 1]}"#.utf8))
    _ = mkdir(folder.file("base"), 0o777)
    for name in ["config.json", "model.safetensors"] { writeFile(folder.file("base/" + name), readFile(small + "/" + name)) }
    words = [
      "MODEL": model, "SMALL": small, "BASE": folder.file("base"), "ADAPTER": SharedData.fixture("adapters/llama"), "PICTURES": pictures,
      "PREDICTING": try RandomModel.predicting(into: folder),
      "F16": folder.file("f16.gguf"), "PART": folder.file("parts-00001-of-00003.gguf"), "LONE": folder.file("lone.safetensors"),
      "TEXT": folder.file("a.txt"), "TEXT2": folder.file("b.txt"), "IDS": folder.file("ids.txt"), "IDS2": folder.file("other-ids.txt"),
      "TYPES": folder.file("types.txt"), "EMPTY": folder.file("empty.txt"), "RECIPE": folder.file("recipe.yaml"),
      "CONFIG": folder.file("config.json"), "CONFIG2": folder.file("small.json"), "TOKENIZER": model + "/tokenizer.json",
      "PIECES": sentencePiece,
      "IMPORTANCE": folder.file("importance.gguf"), "STATS": folder.file("a.stats"), "STATS2": folder.file("b.stats"),
      "ANALYSIS": folder.file("a.analysis.json"), "ANALYSIS2": folder.file("b.analysis.json"),
    ]
    let lines: [(name: String, line: String)] = [
      ("f16.gguf", "MODEL f16.gguf --scheme f16 --no-report"),
      ("parts", "MODEL parts.gguf --scheme f16 --shard-size 7MB --no-report"),
      ("lone.safetensors", "MODEL lone.safetensors --no-report"),
      ("importance.gguf", "calibrate MODEL importance.gguf --calibration TEXT --samples 1 --context 16"),
      ("a.stats", "calibrate MODEL a.stats --calibration TEXT --samples 1 --context 16 --for awq"),
      (
        "a.analysis.json",
        "analyze MODEL -o a.analysis.json --prefer q3_k,q4_0,q8_0 --calibration TEXT --samples 1 --context 16 --windows 1"
      ),
      ("b.analysis.json", "analyze MODEL -o b.analysis.json --prefer q3_k,q6_k --calibration TEXT --samples 1 --context 16 --windows 1"),
      ("b.stats", "calibrate MODEL b.stats --calibration TEXT2 --samples 1 --context 16 --for awq"),
    ]
    for (name, line) in lines where needed?.contains(name) ?? true {
      let (code, printed) = run(line, in: folder)
      guard code == 0 else { throw Failure(.internalError, "test.inputs", "'\(line)' ended with \(code): \(printed)") }
    }
  }

  /// The arguments of a command line: words in capitals are inputs, `out` and names with an extension are files in `outputs`, and `_`
  /// within quotation marks is a space.
  func arguments(_ line: String, in outputs: TemporaryFolder) -> [String] {
    line.split(separator: " ").map { word in
      if let path = words[String(word)] { return path }
      let isOutput = word == "out" || [".gguf", ".stats", ".safetensors", ".bin", ".json"].contains { word.hasSuffix($0) }
      if isOutput { return outputs.file(String(word)) }
      return word.hasPrefix("'") ? word.filter { $0 != "'" }.replacing("_", with: " ") : String(word)
    }
  }

  /// Runs a command line.
  /// - Returns: the exit code, and everything that was printed.
  func run(_ line: String, in outputs: TemporaryFolder) -> (code: Int32, printed: String) {
    let capture = Capture()
    let code = QConvert.run(arguments(line, in: outputs), plugins: QConvert.builtIn, console: capture.console())
    return (code, capture.output + capture.error)
  }

  /// The plan of a command line of `convert`.
  func plan(_ line: String, in outputs: TemporaryFolder) throws -> ConversionPlan {
    let command = try QConvert.parse(arguments(line, in: outputs))
    guard let convert = command as? Convert else { throw Failure(.internalError, "test.command", "'\(line)' converts nothing") }
    return try Preparation(convert.conversion, Registry(QConvert.builtIn)).plan(threads: 1)
  }
}
