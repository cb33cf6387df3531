# Copyright (C) 2026 the ngx_trove_module authors
#
# The unit tests, and NGINX modules for tests of NGINX, for util/test: OBJS, CC,
# SAN_FLAGS, TESTS.  Unit tests link core/; t/unit/target.c includes some files
# of http/, and has functions of NGINX.

DIRS   = $(shell find ngx_trove_module/core -type d)
CORE   = $(basename $(notdir $(wildcard $(DIRS:%=%/*.c))))
UNIT   = $(OBJS)/unit
SRC    = $(OBJS)/src/src

CFLAGS = -g -O2 -Wall -Wextra -Wpointer-arith -Wno-unused-parameter -Werror \
         $(SAN_FLAGS)
HTTP   = $(shell find ngx_trove_module/http -type d)
INCS   = $(DIRS:%=-I%) $(HTTP:%=-I%) -It/unit -I$(OBJS)/objs \
         $(addprefix -I$(SRC)/, \
             core event event/modules os/unix http http/modules http/v2)
LIBS   = -lcrypto -lsqlite3 -lyajl -lpthread

vpath %.c $(DIRS)

.SECONDARY:

all: $(addprefix $(UNIT)/,$(TESTS))

modules: $(patsubst t/modules/%.c,$(UNIT)/%.so,$(wildcard t/modules/*.c))

$(UNIT)/%: $(UNIT)/test/%.o $(CORE:%=$(UNIT)/core/%.o)
	$(CC) $(SAN_FLAGS) -o $@ $^ $(LIBS)

$(UNIT)/test/%.o: t/unit/%.c $(OBJS)/stamp util/unit.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCS) -MMD -MP -c -o $@ $<

$(UNIT)/core/%.o: %.c $(OBJS)/stamp util/unit.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCS) -MMD -MP -c -o $@ $<

# without sanitizers, which stumble over ngx_modules[]

HTTP   = $(shell find ngx_trove_module/http -type d)

$(UNIT)/%.so: t/modules/%.c $(OBJS)/stamp util/unit.mk
	@mkdir -p $(@D)
	$(CC) -g -O1 -Wall -Werror -fPIC -shared $(INCS) $(HTTP:%=-I%) \
	    -MMD -MP -MF $(@:.so=.d) -o $@ $<

-include $(wildcard $(UNIT)/*.d)
-include $(wildcard $(UNIT)/test/*.d $(UNIT)/core/*.d)
