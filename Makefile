# What lives here: the commands of the project. `make demo` and `make test` need a Debian 12 with git and make, as root or with sudo.
SHELL := /bin/bash
JOBS ?= 2
OUT := build/release

# Everything that building, testing and running take. (clang and friends: `make fuzz`, `make format`, `make tidy`.)
PACKAGES := g++ cmake ninja-build make git ccache pkg-config libdnnl-dev libhwy-dev libhdf5-dev libzip-dev \
            nlohmann-json3-dev libfmt-dev libcli11-dev libgtest-dev libgmock-dev libbenchmark-dev

.PHONY: build demo test asan tsan fuzz packages packages-interop packages-clang umbrella format tidy clean help

build: packages
	@cmake --preset release >build/.configure.log 2>&1 || { cat build/.configure.log; exit 1; }
	cmake --build $(OUT) -j $(JOBS) --target product

help:
	@echo "make build            libraries and programs, into $(OUT) and $(OUT)/bin"
	@echo "make demo             builds, then trains a network on handwritten digits"
	@echo "make test             builds everything and runs the tests"
	@echo "make asan tsan fuzz   tests under the sanitizers; fuzzers (clang)"
	@echo "make umbrella         writes include/keras/keras.h and the functions for keras-conformance anew, after a public header changed"
	@echo "make format tidy      clang-format and clang-tidy on what changed"
	@echo "make packages         installs missing Debian packages; the other targets do so themselves"

demo: build
	$(OUT)/bin/digits_cnn data/digits.npz

test: packages
	@cmake --preset release >build/.configure.log 2>&1 || { cat build/.configure.log; exit 1; }
	cmake --build $(OUT) -j $(JOBS)
	ctest --preset release -j $(JOBS)

# $(1): the preset.
define sanitized
	@cmake --preset $(1) >build/.configure.log 2>&1 || { cat build/.configure.log; exit 1; }
	cmake --build --preset $(1) -j $(JOBS)
	ctest --preset $(1) -j $(JOBS)
endef

asan: packages
	$(call sanitized,asan-ubsan)

tsan: packages
	$(call sanitized,tsan)

fuzz: packages packages-clang
	$(call sanitized,fuzz)

packages:
	@mkdir -p build
	@tools/install_packages $(PACKAGES)

# Only the comparison with Python's Keras wants these.
packages-interop:
	@tools/install_packages python3 python3-venv

packages-clang:
	@tools/install_packages clang libclang-rt-14-dev clang-format clang-tidy

umbrella:
	tools/make_umbrella
	tools/make_function_table

format: packages packages-clang
	tools/changed_files | xargs -r clang-format -i

tidy: packages packages-clang
	@cmake --preset dev -B build/tidy -DKERAS_PCH=none >build/.configure.log 2>&1 || { cat build/.configure.log; exit 1; }
	tools/changed_files | grep '\.cpp$$' | xargs -r clang-tidy -quiet -p build/tidy --extra-arg=-Wno-unknown-warning-option

clean:
	rm -rf build
