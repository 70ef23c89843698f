# `make demo` shows what the program does; `make test` and `make interop` show that it does it right.

# Builds of the program and of the tests have different flags: each has its own folder, so that neither rebuilds the other.
RULES = --explicit-target-dependency-import-check error
QCONVERT ?= .build/release/qconvert
BLOCKS = Sources/Plugins/Formats/GGUF/CBlocks
TESTED = .build-test/release/qconvert

.PHONY: help build demo test unit end-to-end sanitize examples fuzz interop interop-all benchmark benchmark-methods format setup clean

help:
	@echo "make setup        system packages that building needs (apt)"
	@echo "make build        $(QCONVERT)"
	@echo "make demo         quantize the model in Tests/Fixtures, compare methods, continue a prompt"
	@echo "make test         all tests that need nothing but this checkout"
	@echo "make sanitize     block encoders and decoders under address and undefined-behaviour sanitizers"
	@echo "make examples     build and use the plug-in packages in Examples"
	@echo "make fuzz         damages small models at random for a quarter of an hour (SECONDS=900)"
	@echo "make interop      against transformers, compressed-tensors, llama.cpp (installed on first use)"
	@echo "make interop-all  the same with more models, schemes and text"
	@echo "make benchmark    time and memory against llama.cpp's tools, GPTQModel, llm-compressor and AutoAWQ (about an hour)"
	@echo "make format       check the format of all sources"

setup:
	@Examples/setup.sh

build:
	swift build -c release --static-swift-stdlib $(RULES) --product qconvert

demo: setup build
	@QCONVERT=$(QCONVERT) Examples/demo.sh

test: setup unit end-to-end

unit:
	swift test -c release --scratch-path .build-test -Xswiftc -enable-testing $(RULES)

end-to-end:
	swift build -c release --scratch-path .build-test -Xswiftc -enable-testing $(RULES) --product qconvert
	QCONVERT=$(TESTED) Tests/EndToEnd/run.sh

sanitize: setup
	mkdir -p .build
	clang -g -O1 -ffp-contract=off -fuse-ld=lld -fsanitize=address,undefined -fno-sanitize-recover=all -I$(BLOCKS)/include \
		$(BLOCKS)/*.c Tests/Sanitizers/blocks.c -o .build/sanitized-blocks -lpthread -lm
	.build/sanitized-blocks

examples: setup
	Tests/EndToEnd/plugin-package.sh

fuzz: setup build
	nice python3 Tests/Fuzz/mutate.py $(QCONVERT) $(or $(SECONDS),900)

interop: setup build
	QCONVERT=$(QCONVERT) Tests/Interop/run.sh

interop-all: setup build
	QCONVERT=$(QCONVERT) Tests/Interop/run.sh --all

benchmark: setup build
	QCONVERT=$(QCONVERT) Tests/Benchmarks/run.sh
	QCONVERT=$(QCONVERT) Tests/Benchmarks/methods.sh

benchmark-methods: setup build
	QCONVERT=$(QCONVERT) Tests/Benchmarks/methods.sh

format:
	swift format lint -s -r Sources Tests Package.swift

clean:
	rm -rf .build .build-test .build-example demo-output
