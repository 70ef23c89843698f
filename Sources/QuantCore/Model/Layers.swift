// The layers below. Exported, so that this layer and those above see the layers below without naming them.
@_exported public import QuantBase
@_exported public import QuantNumbers
@_exported public import QuantText
