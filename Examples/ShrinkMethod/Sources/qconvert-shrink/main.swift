import QConvertKit

QConvert.main(plugins: QConvert.builtIn + [Shrink.self])
