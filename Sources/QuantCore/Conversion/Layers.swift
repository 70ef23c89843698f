// What this layer is built on. Exported, so that its files and everything above see the layers below without naming them.
@_exported public import QuantEngine
