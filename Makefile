# `make demo` shows what the program does; `make test` and `make interop` show that it does it correctly.

# Builds of the program and of the tests use different flags: each has its own folder, so that neither rebuilds the other.
RULES = --explicit-target-dependency-import-check error
QCONVERT ?= .build/release/qconvert
TESTED = .build-test/release/qconvert

# Libraries of this package that have API documentation.
DOCUMENTED = QuantCore QuantBase QuantNumbers QuantText QuantModel QuantEngine QuantConversion FamilyKit FolderKit QConvertKit

.PHONY: help build demo test structure unit end-to-end examples docs fuzz fuzz-parsers faults sanitize sanitize-swift portable interop interop-all benchmark benchmark-methods format setup clean

help:
	@echo "make setup        install the system packages that the build needs (apt)"
	@echo "make build        build $(QCONVERT)"
	@echo "make demo         quantize the model in Tests/Fixtures, compare methods, continue a prompt"
	@echo "make test         run all tests that need only this checkout; with CI set, a skipped test is a failure"
	@echo "make examples     build and use the plug-in packages in Examples, and a package that depends on a version of this one"
	@echo "make docs         build the API documentation of the libraries, in .build-docs/site"
	@echo "make fuzz         run every command on randomly damaged small models, for a quarter of an hour (SECONDS=900)"
	@echo "make fuzz-parsers give each parser random bytes that reach new code, for a minute each (SECONDS=60)"
	@echo "make faults       make every system call of a conversion fail, end the program at every one, cut the power (an hour)"
	@echo "make sanitize     run the C kernels under the sanitizers, with hostile input, compiled for ARM, without fused operations"
	@echo "make sanitize-swift run the whole program under the address sanitizer, on hostile files (SECONDS=300)"
	@echo "make portable     run all tests on a build without the vector units that are chosen at run time"
	@echo "make interop      check with transformers, compressed-tensors, GPTQModel, bitsandbytes, llama.cpp (installed on first use)"
	@echo "make interop-all  check also with vLLM, llm-compressor and mlx-lm, and with more models, schemes and text"
	@echo "make benchmark    compare time and memory with llama.cpp's tools, GPTQModel, llm-compressor and AutoAWQ (hours)"
	@echo "make format       check the format of all sources"

setup:
	@Examples/setup.sh

build:
	swift build -c release --static-swift-stdlib $(RULES) --product qconvert

demo: setup build
	@QCONVERT=$(QCONVERT) Examples/demo.sh

test: setup
	@MAKE="$(MAKE)" Tests/run.py

# Folders whose rooms must not use each other in a cycle.
CORE = Base Numbers Text Model Engine Conversion
LAYERS = Sources/QuantCore $(CORE:%=Sources/QuantCore/%) Sources/qconvert/Kit

structure:
	@python3 Tests/Structure/rooms.py $(LAYERS)
	@python3 Tests/Structure/layers.py
	@python3 Tests/Structure/names.py

# `swift test` would build with flags of its own, so that the program had to be compiled a second time for the end-to-end checks.
TESTING = -c release --scratch-path .build-test -Xswiftc -enable-testing

unit: structure
	swift build $(TESTING) $(RULES) --build-tests
	swift test $(TESTING) --skip-build

end-to-end:
	swift build $(TESTING) $(RULES) --product qconvert
	QCONVERT=$(TESTED) Tests/EndToEnd/run.sh

examples: setup
	Tests/EndToEnd/plugin-package.sh
	Tests/EndToEnd/versioned-package.sh

# The plug-in is fetched only for this target (Package.swift). Parameters may stay undocumented, but links must resolve.
docs: setup
	@mkdir -p .build-docs/site
	QCONVERT_DOCS=1 swift package --allow-writing-to-directory .build-docs/site generate-documentation \
	  $(addprefix --target ,$(DOCUMENTED)) --enable-experimental-combined-documentation \
	  --transform-for-static-hosting --output-path .build-docs/site >.build-docs/log 2>&1 || { tail -n 40 .build-docs/log; exit 1; }
	@! grep -A3 -E "^(warning|error): .*(doesn't exist|ambiguous|[Nn]o (symbol|overload)|not found)" .build-docs/log
	@echo "documentation: .build-docs/site/documentation"

fuzz: setup build
	nice python3 Tests/Fuzz/mutate.py $(QCONVERT) $(or $(SECONDS),900)

# The parsers are compiled with the compiler's fuzzer, which needs a build of its own (Package.swift).
fuzz-parsers: setup
	QCONVERT_FUZZ=1 swift build -c release --scratch-path .build-fuzz --sanitize fuzzer -Xswiftc -enable-testing --product parsers
	nice python3 Tests/Fuzz/parsers.py .build-fuzz/release/parsers $(or $(SECONDS),60)

faults: setup build
	python3 Tests/Faults/campaign.py $(QCONVERT)
	python3 Tests/Faults/campaign.py $(QCONVERT) --kills 1000

sanitize: setup
	Tests/Sanitize/run.sh

sanitize-swift: setup
	swift build -c release --sanitize address --scratch-path .build-asan $(RULES) --product qconvert
	python3 Tests/Sanitize/hostile.py .build-asan/release/qconvert $(or $(SECONDS),300)

portable: setup
	swift test -c release --scratch-path .build-portable -Xcc -DQC_PORTABLE -Xswiftc -enable-testing $(RULES)

# Checks the program that QCONVERT names; builds one if it names none.
BUILT = $(if $(filter file,$(origin QCONVERT)),build)

interop: setup $(BUILT)
	QCONVERT=$(QCONVERT) Tests/Interop/run.sh

interop-all: setup $(BUILT)
	QCONVERT=$(QCONVERT) Tests/Interop/run.sh --all

benchmark: setup build
	QCONVERT=$(QCONVERT) Tests/Benchmarks/tokenizers.sh
	QCONVERT=$(QCONVERT) Tests/Benchmarks/gguf.sh
	QCONVERT=$(QCONVERT) Tests/Benchmarks/folders.sh
	QCONVERT=$(QCONVERT) Tests/Benchmarks/methods.sh

benchmark-methods: setup build
	QCONVERT=$(QCONVERT) Tests/Benchmarks/methods.sh

format:
	swift format lint -s -r Sources Tests Package.swift

clean:
	rm -rf .build .build-test .build-example .build-portable .build-versioned .build-docs .build-fuzz .build-asan demo-output
