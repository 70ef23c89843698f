# `make demo` shows what the program does; `make test` and `make interop` show that it does it right.

# Builds of the program and of the tests have different flags: each has its own folder, so that neither rebuilds the other.
RULES = --explicit-target-dependency-import-check error
QCONVERT ?= .build/release/qconvert
TESTED = .build-test/release/qconvert

# What has API documentation: a library of this package each.
DOCUMENTED = QuantCore QConvertKit

.PHONY: help build demo test structure unit end-to-end examples docs fuzz sanitize portable interop interop-all benchmark benchmark-methods format setup clean

help:
	@echo "make setup        system packages that building needs (apt)"
	@echo "make build        $(QCONVERT)"
	@echo "make demo         quantize the model in Tests/Fixtures, compare methods, continue a prompt"
	@echo "make test         all tests that need nothing but this checkout; with CI set, a skipped test is a failure"
	@echo "make examples     build and use the plug-in packages in Examples, and a package that depends on a version of this one"
	@echo "make docs         API documentation of $(DOCUMENTED), in .build-docs/site"
	@echo "make fuzz         damages small models at random for a quarter of an hour (SECONDS=900)"
	@echo "make sanitize     the C kernels under the sanitizers, with hostile input, compiled for ARM, without fused operations"
	@echo "make portable     all tests of a build without the vector units that are chosen at run time"
	@echo "make interop      against transformers, compressed-tensors, GPTQModel, bitsandbytes, llama.cpp (installed on first use)"
	@echo "make interop-all  also against vLLM and llm-compressor, and with more models, schemes and text"
	@echo "make benchmark    time and memory against llama.cpp's tools, GPTQModel, llm-compressor and AutoAWQ (about an hour)"
	@echo "make format       check the format of all sources"

setup:
	@Examples/setup.sh

build:
	swift build -c release --static-swift-stdlib $(RULES) --product qconvert

demo: setup build
	@QCONVERT=$(QCONVERT) Examples/demo.sh

test: setup
	@MAKE="$(MAKE)" Tests/run.py

# Folders whose rooms must not use each other in a circle.
CORE = Base Numbers Text Model Engine Conversion
LAYERS = Sources/QuantCore $(CORE:%=Sources/QuantCore/%) Sources/qconvert/Kit

structure:
	@python3 Tests/Structure/rooms.py $(LAYERS)
	@python3 Tests/Structure/layers.py
	@python3 Tests/Structure/names.py

unit: structure
	swift test -c release --scratch-path .build-test -Xswiftc -enable-testing $(RULES)

end-to-end:
	swift build -c release --scratch-path .build-test -Xswiftc -enable-testing $(RULES) --product qconvert
	QCONVERT=$(TESTED) Tests/EndToEnd/run.sh

examples: setup
	Tests/EndToEnd/plugin-package.sh
	Tests/EndToEnd/versioned-package.sh

# The plug-in is fetched for this alone (Package.swift). Parameters need no words of their own, but a link must lead somewhere.
docs: setup
	@mkdir -p .build-docs/site
	QCONVERT_DOCS=1 swift package --allow-writing-to-directory .build-docs/site generate-documentation \
	  $(addprefix --target ,$(DOCUMENTED)) --enable-experimental-combined-documentation \
	  --transform-for-static-hosting --output-path .build-docs/site >.build-docs/log 2>&1 || { tail -n 40 .build-docs/log; exit 1; }
	@! grep -A3 -E "^(warning|error): .*(doesn't exist|ambiguous|[Nn]o (symbol|overload)|not found)" .build-docs/log
	@echo "documentation: .build-docs/site/documentation"

fuzz: setup build
	nice python3 Tests/Fuzz/mutate.py $(QCONVERT) $(or $(SECONDS),900)

sanitize: setup
	Tests/Sanitize/run.sh

portable: setup
	swift test -c release --scratch-path .build-portable -Xcc -DQC_PORTABLE -Xswiftc -enable-testing $(RULES)

interop: setup build
	QCONVERT=$(QCONVERT) Tests/Interop/run.sh

interop-all: setup build
	QCONVERT=$(QCONVERT) Tests/Interop/run.sh --all

benchmark: setup build
	QCONVERT=$(QCONVERT) Tests/Benchmarks/gguf.sh
	QCONVERT=$(QCONVERT) Tests/Benchmarks/folders.sh
	QCONVERT=$(QCONVERT) Tests/Benchmarks/methods.sh

benchmark-methods: setup build
	QCONVERT=$(QCONVERT) Tests/Benchmarks/methods.sh

format:
	swift format lint -s -r Sources Tests Package.swift

clean:
	rm -rf .build .build-test .build-example .build-portable .build-versioned .build-docs demo-output
