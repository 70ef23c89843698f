import QConvertKit
import SearchedPlugin

QConvert.main(plugins: QConvert.builtIn + [SearchedSchemes.self])
