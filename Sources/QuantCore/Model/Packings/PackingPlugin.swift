/// A plug-in on the axis of packings: a `Packing`, which stores matrices, an `Unpacker`, which reads them, or both.
///
/// A packing that can only be read is not a `Packing`. A packing that its format reads itself needs no `Unpacker`, such as GGUF blocks.
/// The host makes one value of each type and keeps it; it must have no state.
public protocol PackingPlugin: Plugin {
  init()
}

extension PackingPlugin { public static var axis: PluginAxis { .packing } }
