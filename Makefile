# Copyright (C) 2026 the ngx_trove_module authors
#
# "make help" lists the targets and the settings.

BUILD   = build
CC      = gcc
JOBS    = $(shell nproc 2>/dev/null || echo 2)
VERSION = $(shell sed -n 's/^Changes with ngx_trove_module \([0-9.]*\).*/\1/p' \
              CHANGES | head -n 1)

# each combination of these settings has its own object directory

NGINX_SRC =
CONFIGURE =
STATIC  =
SAN     =

override SETTINGS := NGINX_SRC='$(NGINX_SRC)' CONFIGURE='$(CONFIGURE)' \
                     STATIC='$(STATIC)' SAN='$(SAN)' \
                     CC='$(CC)' BUILD='$(BUILD)'

FUZZ_TIME = 60
DESTDIR   =

.DEFAULT_GOAL = build

.PHONY: all build test unit check demo bench profile sanitize static minimal \
        fuzz install deb deb-test dist clean distclean help bootstrap

all: build

build: bootstrap        ## build build/ngx_http_trove_module.so (default)
	@$(SETTINGS) util/build

bootstrap:
	@util/bootstrap build

test: bootstrap         ## run all tests, or one: T=t/foo.t or T=t/unit/foo.c
	@util/bootstrap test
	@$(SETTINGS) util/build
	@$(SETTINGS) JOBS='$(JOBS)' util/test $(T)

unit: bootstrap         ## run the unit tests, which do not need NGINX
	@$(SETTINGS) JOBS='$(JOBS)' util/test t/unit/*.c

check:                  ## lint C, Perl and shell; run static analysis
	@util/bootstrap build check
	@util/lint

demo: build             ## run the configurations of examples/, and show the results
	@$(SETTINGS) util/run examples/demo/run $(if $(KEEP),--keep)

bench: build            ## run the benchmarks of docs/benchmarks.md: 20 minutes
	@util/bootstrap bench
	@$(SETTINGS) util/run bench/run $(if $(QUICK),--quick) \
	    $(if $(WRITE),--write) $(WHAT)

profile: build          ## count the instructions of the gate by part: one minute
	@util/bootstrap profile
	@$(SETTINGS) util/run bench/profile $(if $(FUNCTIONS),--functions) $(WHAT)

sanitize: bootstrap     ## run all tests with AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory test SAN=1 \
	    NGINX_SRC="$${NGINX_SRC:-$$(util/nginx-source)}"

static: bootstrap       ## build NGINX with the module linked in: build/nginx
	@$(MAKE) --no-print-directory build STATIC=1 \
	    NGINX_SRC="$${NGINX_SRC:-$$(util/nginx-source)}"

minimal: bootstrap      ## run a few tests without threads, PCRE, TLS, ...
	@CC='$(CC)' BUILD='$(BUILD)' \
	    NGINX_SRC="$${NGINX_SRC:-$$(util/nginx-source)}" util/minimal

fuzz: bootstrap         ## run each harness of fuzz/, or one: T=fuzz/foo.c
	@util/bootstrap fuzz
	@BUILD='$(BUILD)' FUZZ_TIME='$(FUZZ_TIME)' util/fuzz $(T)

install: build          ## install the module into the modules directory
	@$(SETTINGS) DESTDIR='$(DESTDIR)' util/install

deb:                    ## build the Debian package: build/deb/*.deb
	@util/bootstrap build deb
	@BUILD='$(BUILD)' util/deb

deb-test: deb           ## test the Debian package in a chroot: 3 minutes, as root
	@util/bootstrap chroot
	@BUILD='$(BUILD)' util/deb-test

dist:                   ## create a tarball of the last commit: build/*.tar.gz
	@mkdir -p $(BUILD)
	git archive --prefix=ngx_trove_module-$(VERSION)/ HEAD \
	    | gzip -n9 > $(BUILD)/ngx_trove_module-$(VERSION).tar.gz

clean:                  ## remove build results, but keep downloads
	@rm -rf $(filter-out $(BUILD)/source,$(wildcard $(BUILD)/*))

distclean:              ## remove build/
	@rm -rf $(BUILD)

help:                   ## print this help
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile \
	    | awk -F'|' '{ printf "%-12s%s\n", $$1, $$2 }'
	@echo
	@echo '  NGINX_SRC=DIR  build and test with the NGINX source tree DIR'
	@echo '                 instead of the installed NGINX'
	@echo "  CONFIGURE='--with-compat'"
	@echo '                 with NGINX_SRC: configure options for NGINX'
	@echo '                 instead of those that the tests need'
	@echo '  STATIC=1       with NGINX_SRC: link the module statically'
	@echo '  SAN=1          with NGINX_SRC: build with sanitizers'
	@echo '  CC=clang       use another compiler'
	@echo '  WHAT=gate      with bench: run only this benchmark'
	@echo '  QUICK=1        with bench: take 3 minutes'
	@echo '  WRITE=1        with bench: write the results to docs/benchmarks.md'
	@echo '  FUNCTIONS=1    with profile: show each function'
	@echo '  WHAT=280       with profile: profile only this body size'
	@echo '  KEEP=1         with demo: keep it running until Ctrl-C'
	@echo '  JOBS=N         run N tests in parallel'
	@echo '  TROVE_LEAVE=1  with test: keep the files of the tests'
	@echo '  FUZZ_TIME=N    with fuzz: seconds for each harness, 60 by default;'
	@echo '                 0 only runs the corpus'
