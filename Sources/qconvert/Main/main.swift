import QConvertKit

QConvert.main()
