/// A plug-in on the axis of packings: a `Packing`, which stores matrices, an `Unpacker`, which reads them again, or both.
///
/// What is only read is no `Packing`. What a format reads itself needs no `Unpacker`: blocks of GGUF are such. The host makes one
/// value of each type and keeps it; there is nothing for it to remember.
public protocol PackingPlugin: Plugin {
  init()
}

extension PackingPlugin { public static var axis: PluginAxis { .packing } }
