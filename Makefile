# The front door for people.  Two commands matter: "make run" and "make test".

TOP      := $(CURDIR)
BUILD    ?= $(TOP)/build
NGX_SRC  ?= /usr/share/nginx/src

CC       ?= cc
SANITIZE ?=

CC_OPT   := -g -O2 -fPIC -Wformat -Werror=format-security \
            -Wmissing-prototypes -I$(shell pg_config --includedir 2>/dev/null)
LD_OPT   := -Wl,-z,relro -Wl,-z,now -fPIC

ifneq ($(SANITIZE),)
CC_OPT   += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
            -fno-sanitize=nonnull-attribute
LD_OPT   += -fsanitize=address,undefined
else
CC_OPT   += -D_FORTIFY_SOURCE=2
endif

MODULE   := $(BUILD)/ngx_iot_module.so
SOURCES  := $(wildcard $(TOP)/ngx_iot_module/*/*.[ch] \
              $(TOP)/ngx_iot_module/http/*/*.[ch] \
              $(TOP)/stream_modules/*/*.[ch])

.PHONY: build module

build: module $(BUILD)/iot-secret

module: $(BUILD)/Makefile
	@$(MAKE) --no-print-directory -f $(BUILD)/Makefile -C $(NGX_SRC) \
		modules

# a changed list of sources needs nginx's configure again (some 6 s)
$(BUILD)/Makefile: $(TOP)/config $(TOP)/ngx_iot_module/features \
		$(TOP)/Makefile
	@mkdir -p $(BUILD)
	@cd $(NGX_SRC) && bash -c '. ./conf_flags && ./configure \
		"$${NGX_CONF_FLAGS[@]}" --with-stream --with-stream_ssl_module \
		--with-cc-opt="$(CC_OPT)" --with-ld-opt="$(LD_OPT)" \
		--add-dynamic-module="$(TOP)" --builddir="$(BUILD)"' \
		> $(BUILD)/configure.log 2>&1 \
		|| { tail -20 $(BUILD)/configure.log; exit 1; }

$(BUILD)/iot-secret: $(TOP)/tools/iot-secret.c
	@mkdir -p $(BUILD)
	$(CC) -g -O2 -Wall -Wextra -Werror -o $@ $< -lsodium
