# Copyright (C) 2026 the ngx_trove_module authors
#
# The unit tests, for util/test: OBJS, CC, SAN_FLAGS, TESTS.

ROOMS  = $(patsubst ngx_trove_module/%.c,%,$(wildcard \
             ngx_trove_module/ngx_trove_*.c))
UNIT   = $(OBJS)/unit
SRC    = $(OBJS)/src/src

CFLAGS = -g -O2 -Wall -Wextra -Wpointer-arith -Wno-unused-parameter -Werror \
         $(SAN_FLAGS)
INCS   = -Ingx_trove_module -It/unit -I$(OBJS)/objs $(addprefix -I$(SRC)/, \
             core event event/modules os/unix http http/modules)
LIBS   = -lcrypto -lsqlite3 -lyajl -lpthread

.SECONDARY:

all: $(addprefix $(UNIT)/,$(TESTS))

$(UNIT)/%: $(UNIT)/test/%.o $(ROOMS:%=$(UNIT)/room/%.o)
	$(CC) $(SAN_FLAGS) -o $@ $^ $(LIBS)

$(UNIT)/test/%.o: t/unit/%.c $(OBJS)/stamp util/unit.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCS) -MMD -MP -c -o $@ $<

$(UNIT)/room/%.o: ngx_trove_module/%.c $(OBJS)/stamp util/unit.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCS) -MMD -MP -c -o $@ $<

-include $(wildcard $(UNIT)/test/*.d $(UNIT)/room/*.d)
