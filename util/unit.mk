# Copyright (C) 2026 the ngx_trove_module authors
#
# The unit tests, for util/test: OBJS, CC, SAN_FLAGS, TESTS.

DIRS   = $(shell find ngx_trove_module/core -type d)
CORE   = $(basename $(notdir $(wildcard $(DIRS:%=%/*.c))))
UNIT   = $(OBJS)/unit
SRC    = $(OBJS)/src/src

CFLAGS = -g -O2 -Wall -Wextra -Wpointer-arith -Wno-unused-parameter -Werror \
         $(SAN_FLAGS)
INCS   = $(DIRS:%=-I%) -It/unit -I$(OBJS)/objs $(addprefix -I$(SRC)/, \
             core event event/modules os/unix http http/modules)
LIBS   = -lcrypto -lsqlite3 -lyajl -lpthread

vpath %.c $(DIRS)

.SECONDARY:

all: $(addprefix $(UNIT)/,$(TESTS))

$(UNIT)/%: $(UNIT)/test/%.o $(CORE:%=$(UNIT)/core/%.o)
	$(CC) $(SAN_FLAGS) -o $@ $^ $(LIBS)

$(UNIT)/test/%.o: t/unit/%.c $(OBJS)/stamp util/unit.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCS) -MMD -MP -c -o $@ $<

$(UNIT)/core/%.o: %.c $(OBJS)/stamp util/unit.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCS) -MMD -MP -c -o $@ $<

-include $(wildcard $(UNIT)/test/*.d $(UNIT)/core/*.d)
