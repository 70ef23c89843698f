// The layers of the core under one name, so that a plug-in imports nothing else.
@_exported public import QuantConversion
