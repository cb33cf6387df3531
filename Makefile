# Copyright (C) 2026 the ngx_trove_module authors
#
# make help  tells the targets and the settings.

BUILD   = build
CC      = gcc
JOBS    = $(shell nproc 2>/dev/null || echo 2)
VERSION = $(shell sed -n 's/^Changes with ngx_trove_module \([0-9.]*\).*/\1/p' \
              CHANGES | head -n 1)

# settings of which each combination has its own directory of objects

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
        fuzz install dist clean distclean help bootstrap

all: build

build: bootstrap        ## the module: build/ngx_http_trove_module.so (default)
	@$(SETTINGS) util/build

bootstrap:
	@util/bootstrap build

test: bootstrap         ## all tests, or one: T=t/foo.t or T=t/unit/foo.c
	@util/bootstrap test
	@$(SETTINGS) util/build
	@$(SETTINGS) JOBS='$(JOBS)' util/test $(T)

unit: bootstrap         ## the unit tests: of the code that needs no NGINX
	@$(SETTINGS) JOBS='$(JOBS)' util/test t/unit/*.c

check:                  ## lint of C, Perl and shell; static analysis
	@util/bootstrap build check
	@util/lint

demo: build             ## gate, fan-out, spool of examples/; who gets what
	@$(SETTINGS) util/run examples/demo/run $(if $(KEEP),--keep)

bench: build            ## the numbers of the documentation: 15 minutes
	@util/bootstrap bench
	@$(SETTINGS) util/run bench/run $(if $(QUICK),--quick) \
	    $(if $(WRITE),--write) $(WHAT)

profile: build          ## what the gate's instructions are for: a minute
	@util/bootstrap profile
	@$(SETTINGS) util/run bench/profile $(if $(FUNCTIONS),--functions) $(WHAT)

sanitize: bootstrap     ## all tests by AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory test SAN=1 \
	    NGINX_SRC="$${NGINX_SRC:-$$(util/nginx-source)}"

static: bootstrap       ## NGINX with the module linked in: build/nginx
	@$(MAKE) --no-print-directory build STATIC=1 \
	    NGINX_SRC="$${NGINX_SRC:-$$(util/nginx-source)}"

minimal: bootstrap      ## NGINX without threads, PCRE, TLS ..: a few tests
	@CC='$(CC)' BUILD='$(BUILD)' \
	    NGINX_SRC="$${NGINX_SRC:-$$(util/nginx-source)}" util/minimal

fuzz: bootstrap         ## each of fuzz/*.c for FUZZ_TIME seconds, or one: T=
	@util/bootstrap fuzz
	@BUILD='$(BUILD)' FUZZ_TIME='$(FUZZ_TIME)' util/fuzz $(T)

install: build          ## the module into the modules directory of NGINX
	@$(SETTINGS) DESTDIR='$(DESTDIR)' util/install

dist:                   ## a tarball of what is committed: build/*.tar.gz
	@mkdir -p $(BUILD)
	git archive --prefix=ngx_trove_module-$(VERSION)/ HEAD \
	    | gzip -n9 > $(BUILD)/ngx_trove_module-$(VERSION).tar.gz

clean:                  ## what was built, but not what was downloaded
	@rm -rf $(filter-out $(BUILD)/source,$(wildcard $(BUILD)/*))

distclean:              ## all of build/
	@rm -rf $(BUILD)

help:                   ## this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile \
	    | awk -F'|' '{ printf "%-12s%s\n", $$1, $$2 }'
	@echo
	@echo '  NGINX_SRC=DIR  build and test with this source tree of NGINX,'
	@echo '                 instead of the installed one'
	@echo "  CONFIGURE='--with-compat'"
	@echo '                 with NGINX_SRC: the options of its configure,'
	@echo '                 instead of those that the tests need'
	@echo '  STATIC=1       with NGINX_SRC: link the module in'
	@echo '  SAN=1          with NGINX_SRC: with sanitizers'
	@echo '  CC=clang       another compiler'
	@echo '  WHAT=gate      with bench: only this; QUICK=1: in 3 minutes;'
	@echo '                 WRITE=1: into docs/benchmarks.md'
	@echo '  FUNCTIONS=1    with profile: each function; WHAT=280: only this size'
	@echo '  KEEP=1         with demo: keeps it running until Ctrl-C'
	@echo '  JOBS=N         tests at a time; TROVE_LEAVE=1 keeps their files'
	@echo '  FUZZ_TIME=N    with fuzz: 60 if not given; 0 only runs the corpus'
