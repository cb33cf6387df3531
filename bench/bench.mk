# Copyright (C) 2026 the ngx_trove_module authors
#
# Builds the programs of the benchmarks.  Variables: OBJS, CC.  Run by
# bench/run.

DIRS   = $(shell find ngx_trove_module/core -type d)
CORE   = $(basename $(notdir $(wildcard $(DIRS:%=%/*.c))))
BENCH  = $(OBJS)/bench
SRC    = $(OBJS)/src/src

# the flags of util/build, so that core/ is as fast as in the module

CFLAGS = -g -O2 -fstack-protector-strong -fPIC -D_FORTIFY_SOURCE=2 \
         -Wall -Wextra -Wpointer-arith -Wno-unused-parameter -Werror
INCS   = $(DIRS:%=-I%) -I$(OBJS)/objs $(addprefix -I$(SRC)/, \
             core event event/modules os/unix http http/modules)
LIBS   = -lcrypto -lsqlite3 -lyajl -lpthread

vpath %.c $(DIRS)

.SECONDARY:

all: $(addprefix $(BENCH)/,floor load spool_store spool_subscribe zone \
                             zone_floor)

LOAD = load load_arrival load_backend load_client load_loop load_request

$(BENCH)/load: $(LOAD:%=$(BENCH)/tool/%.o)
	$(CC) -o $@ $^ $(LIBS)

SPOOLS = $(BENCH)/spool_store $(BENCH)/spool_subscribe

$(SPOOLS): $(BENCH)/tool/spool_bench.o

$(SPOOLS) $(BENCH)/zone: $(BENCH)/%: $(BENCH)/tool/%.o \
                                     $(CORE:%=$(BENCH)/core/%.o)
	$(CC) -o $@ $^ $(LIBS)

$(BENCH)/%: $(BENCH)/tool/%.o
	$(CC) -o $@ $^ $(LIBS)

$(BENCH)/tool/%.o: bench/%.c $(OBJS)/stamp bench/bench.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCS) -MMD -MP -c -o $@ $<

$(BENCH)/core/%.o: %.c $(OBJS)/stamp bench/bench.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCS) -MMD -MP -c -o $@ $<

-include $(wildcard $(BENCH)/tool/*.d $(BENCH)/core/*.d)
