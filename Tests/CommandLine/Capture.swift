import QuantCore
import Synchronization

@testable import QConvertKit

/// Records everything that is written to its console.
final class Capture: Sendable {
  private let texts = Mutex((output: [UInt8](), error: [UInt8]()))

  var output: String { texts.withLock { String(decoding: $0.output, as: UTF8.self) } }
  var error: String { texts.withLock { String(decoding: $0.error, as: UTF8.self) } }

  func console(_ facts: Console.Facts = Console.Facts()) -> Console {
    Console(facts: facts) { stream, bytes in
      self.texts.withLock { texts in
        if stream == .output { texts.output += bytes } else { texts.error += bytes }
      }
      return 0
    }
  }

  /// Runs a command line with only the given plug-ins.
  func run(_ arguments: String..., plugins: [any Plugin.Type] = []) -> Int32 {
    QConvert.run(arguments, plugins: plugins, console: console())
  }
}
