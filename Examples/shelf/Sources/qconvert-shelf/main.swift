import QConvertKit
import ShelfPlugin

QConvert.main(plugins: QConvert.builtIn + [ShelfFormat.self])
