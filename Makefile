# `make demo` shows what the program does; `make test` and `make interop` show that it does it right.

# Builds of the program and of the tests have different flags: each has its own folder, so that neither rebuilds the other.
RULES = --explicit-target-dependency-import-check error
QCONVERT ?= .build/release/qconvert
TESTED = .build-test/release/qconvert

.PHONY: help build demo test structure unit end-to-end examples fuzz sanitize portable interop interop-all benchmark benchmark-methods format setup clean

help:
	@echo "make setup        system packages that building needs (apt)"
	@echo "make build        $(QCONVERT)"
	@echo "make demo         quantize the model in Tests/Fixtures, compare methods, continue a prompt"
	@echo "make test         all tests that need nothing but this checkout"
	@echo "make examples     build and use the plug-in packages in Examples"
	@echo "make fuzz         damages small models at random for a quarter of an hour (SECONDS=900)"
	@echo "make sanitize     the C kernels under the sanitizers, with hostile input, and compiled for ARM"
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

test: setup unit end-to-end

# Folders whose rooms must not use each other in a circle.
LAYERS = Sources/qconvert/Kit

structure:
	@python3 Tests/Structure/rooms.py $(LAYERS)

unit: structure
	swift test -c release --scratch-path .build-test -Xswiftc -enable-testing $(RULES)

end-to-end:
	swift build -c release --scratch-path .build-test -Xswiftc -enable-testing $(RULES) --product qconvert
	QCONVERT=$(TESTED) Tests/EndToEnd/run.sh

examples: setup
	Tests/EndToEnd/plugin-package.sh

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
	rm -rf .build .build-test .build-example .build-portable demo-output
