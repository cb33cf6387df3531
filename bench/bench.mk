# Copyright (C) 2026 the ngx_trove_module authors
#
# The programs of the benchmark, for bench/run: OBJS, CC.

ROOMS  = $(patsubst ngx_trove_module/%.c,%,$(wildcard \
             ngx_trove_module/ngx_trove_*.c))
BENCH  = $(OBJS)/bench
SRC    = $(OBJS)/src/src

# as util/build compiles the module, so that the rooms are as fast as in it

CFLAGS = -g -O2 -fstack-protector-strong -fPIC -D_FORTIFY_SOURCE=2 \
         -Wall -Wextra -Wpointer-arith -Wno-unused-parameter -Werror
INCS   = -Ingx_trove_module -I$(OBJS)/objs $(addprefix -I$(SRC)/, \
             core event event/modules os/unix http http/modules)
LIBS   = -lcrypto -lsqlite3 -lyajl -lpthread

.SECONDARY:

all: $(addprefix $(BENCH)/,floor load spool_store zone zone_floor)

LOAD = load load_arrival load_backend load_client load_request

$(BENCH)/load: $(LOAD:%=$(BENCH)/tool/%.o)
	$(CC) -o $@ $^ $(LIBS)

$(BENCH)/spool_store $(BENCH)/zone: $(BENCH)/%: $(BENCH)/tool/%.o \
                                     $(ROOMS:%=$(BENCH)/room/%.o)
	$(CC) -o $@ $^ $(LIBS)

$(BENCH)/%: $(BENCH)/tool/%.o
	$(CC) -o $@ $^ $(LIBS)

$(BENCH)/tool/%.o: bench/%.c $(OBJS)/stamp bench/bench.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCS) -MMD -MP -c -o $@ $<

$(BENCH)/room/%.o: ngx_trove_module/%.c $(OBJS)/stamp bench/bench.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCS) -MMD -MP -c -o $@ $<

-include $(wildcard $(BENCH)/tool/*.d $(BENCH)/room/*.d)
