import Logging

/// Log events as lines on standard error; warnings and errors are preceded by their level.
struct TerminalLog: LogHandler {
  let console: Console
  let style: Style
  var logLevel: Logger.Level
  var metadata: Logger.Metadata = [:]

  init(console: Console, style: Style, level: Logger.Level) {
    self.console = console
    self.style = style
    logLevel = level
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let prefix =
      switch event.level {
      case .warning: style.yellow("warning:") + " "
      case .error, .critical: style.red("error:") + " "
      default: ""
      }
    console.line(prefix + Wording.printable(event.message.description))
  }
}
