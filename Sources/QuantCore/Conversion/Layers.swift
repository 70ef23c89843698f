// The layer below. Exported, so that this layer and those above see the layers below without naming them.
@_exported public import QuantEngine
