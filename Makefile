# The front door for people.  Two commands matter: "make run" and "make test".

TOP      := $(CURDIR)
SANITIZE ?=
BUILD    ?= $(TOP)/build$(if $(SANITIZE),/san)
NGX_SRC  ?= /usr/share/nginx/src
IOTCTL   := $(TOP)/tools/iotctl

CC       ?= cc
CLANG    ?= clang
PROVE    ?= prove
JOBS     ?= 2
TESTS    ?= t
FUZZ_SECONDS ?= 20

DESTDIR  ?=
BINDIR   ?= /usr/bin
SHAREDIR ?= /usr/share/ngx_iot
LIBDIR   ?= /usr/lib/ngx_iot
MODDIR   ?= /usr/lib/nginx/modules
UNITDIR  ?= /lib/systemd/system
SYSUSERSDIR ?= /usr/lib/sysusers.d

CC_OPT   := -g -O2 -fPIC -Wformat -Werror=format-security \
            -Wmissing-prototypes -I$(shell pg_config --includedir 2>/dev/null)
LD_OPT   := -Wl,-z,relro -Wl,-z,now -fPIC

ifneq ($(SANITIZE),)
SAN_OPT  := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
            -fno-sanitize=nonnull-attribute
CC_OPT   += $(SAN_OPT)
LD_OPT   += -fsanitize=address,undefined
export IOT_SANITIZE := 1
else
SAN_OPT  :=
CC_OPT   += -D_FORTIFY_SOURCE=2
endif

MODULE   := $(BUILD)/ngx_iot_module.so
SECRET   := $(TOP)/build/iot-secret
HELPER   := $(BUILD)/iot-helper

# tests and iotctl take the module from here, whatever is installed
export IOT_MODULE ?= $(MODULE)
export IOT_UNIT   := $(BUILD)/unit
export IOT_HELPER ?= $(BUILD)/iot-helper

.PHONY: all deps run-deps build module run start stop reload status doctor test unit \
        unit-build fuzz fuzz-build settings-doc bench install dist clean help

all: build

help:
	@echo "make run      install, build, make an instance in var/, run it"
	@echo "make test     install what is needed, build, test everything"
	@echo "make deps     install what is needed (Debian 12)"
	@echo "make build    the module and its tools, in build/"
	@echo "make start, stop, reload, status, doctor    the instance in var/"
	@echo "make unit     the unit tests of the codecs only"
	@echo "make fuzz     every fuzzer for FUZZ_SECONDS=$(FUZZ_SECONDS)"
	@echo "make settings-doc  docs/settings.md from the registry"
	@echo "make bench    the benchmarks"
	@echo "make install  into DESTDIR"
	@echo "make dist     a source archive in build/"
	@echo "make clean    remove build/"
	@echo
	@echo "SANITIZE=1    build and test with address and undefined sanitizers"
	@echo "TESTS=t/http  test only that; JOBS=$(JOBS) files at a time"

deps:
	@$(TOP)/tools/deps

run-deps:
	@$(TOP)/tools/deps run


# --- the module and its tools ---

build: module $(SECRET) $(HELPER)

module: $(BUILD)/Makefile
	@$(MAKE) --no-print-directory -f $(BUILD)/Makefile -C $(NGX_SRC) \
		modules > $(BUILD)/make.log 2>&1 \
		|| { cat $(BUILD)/make.log; exit 1; }

# a changed list of sources needs nginx's configure again (some 6 s)
$(BUILD)/Makefile: $(TOP)/config $(TOP)/ngx_iot_module/features \
		$(TOP)/Makefile
	@test -d $(NGX_SRC) || { echo 'nginx-dev is missing: "make deps"'; exit 1; }
	@mkdir -p $(BUILD)
	@cd $(NGX_SRC) && bash -c '. ./conf_flags && ./configure \
		"$${NGX_CONF_FLAGS[@]}" --with-stream --with-stream_ssl_module \
		--with-cc-opt="$(CC_OPT)" --with-ld-opt="$(LD_OPT)" \
		--add-dynamic-module="$(TOP)" --builddir="$(BUILD)"' \
		> $(BUILD)/configure.log 2>&1 \
		|| { tail -20 $(BUILD)/configure.log; rm -f $(BUILD)/Makefile; \
			exit 1; }

$(SECRET): $(TOP)/tools/iot-secret.c
	@mkdir -p $(@D)
	$(CC) -g -O2 -Wall -Wextra -Werror -o $@ $< -lsodium


# --- the helper: a program of its own, made of the codecs ---

CODEC_SRC := $(wildcard $(TOP)/ngx_iot_module/codec/*.c)
CODEC_OBJ := $(CODEC_SRC:$(TOP)/ngx_iot_module/codec/%.c=$(BUILD)/codec/%.o)
CODEC_OPT := -g -O2 -W -Wall -Wpointer-arith -Wno-unused-parameter -Werror \
             -Wmissing-prototypes -DNGX_IOT_STANDALONE=1 \
             -I$(TOP)/ngx_iot_module/codec $(SAN_OPT)
CODEC_LIB := -lsodium -lcbor -lcrypto -ljansson -loath -lm

HELPER_SRC := $(wildcard $(TOP)/ngx_iot_module/helper/*.c)
HELPER_OBJ := $(HELPER_SRC:$(TOP)/ngx_iot_module/helper/%.c=$(BUILD)/helper/%.o)
HELPER_OPT := -g -O2 -W -Wall -Wpointer-arith -Werror -Wmissing-prototypes \
              -D_GNU_SOURCE -DNGX_IOT_STANDALONE=1 \
              -I$(TOP)/ngx_iot_module/codec \
              -I$(shell pg_config --includedir 2>/dev/null) $(SAN_OPT)

$(BUILD)/helper/%.o: $(TOP)/ngx_iot_module/helper/%.c \
		$(wildcard $(TOP)/ngx_iot_module/helper/*.h) \
		$(wildcard $(TOP)/ngx_iot_module/codec/*.h)
	@mkdir -p $(@D)
	@$(CC) $(HELPER_OPT) -c -o $@ $<

$(HELPER): $(HELPER_OBJ) $(CODEC_OBJ)
	@$(CC) $(SAN_OPT) -Wl,-z,relro -Wl,-z,now -o $@ $^ \
		$(CODEC_LIB) -lcurl -lpq


# --- an instance for trying out; IOT_DIR and IOT_..._PORT as for iotctl ---

run: run-deps
	@$(MAKE) --no-print-directory build
	@$(IOTCTL) run

start: run-deps
	@$(MAKE) --no-print-directory build
	@$(IOTCTL) init
	@$(IOTCTL) start

stop reload status doctor:
	@$(IOTCTL) $@


# --- tests ---

test: deps
	@$(MAKE) --no-print-directory build unit-build
	$(PROVE) -r -j$(JOBS) $(TESTS)

UNIT_SRC  := $(wildcard $(TOP)/t/unit/*_test.c)
UNIT_BIN  := $(UNIT_SRC:$(TOP)/t/unit/%.c=$(BUILD)/unit/%)

# the fuzz targets, to be run over their seeds only
REPLAY    := $(patsubst $(TOP)/t/fuzz/%_fuzz.c,$(BUILD)/unit/fuzz/%,\
               $(wildcard $(TOP)/t/fuzz/*_fuzz.c))

unit: unit-build
	$(PROVE) -r $(TOP)/t/unit $(TOP)/t/fuzz

unit-build: $(UNIT_BIN) $(REPLAY)

$(BUILD)/codec/%.o: $(TOP)/ngx_iot_module/codec/%.c \
		$(wildcard $(TOP)/ngx_iot_module/codec/*.h)
	@mkdir -p $(@D)
	@$(CC) $(CODEC_OPT) -c -o $@ $<

$(BUILD)/unit/%_test: $(TOP)/t/unit/%_test.c $(CODEC_OBJ) $(wildcard $(TOP)/t/unit/*.h)
	@mkdir -p $(@D)
	@$(CC) $(filter-out -Wmissing-prototypes,$(CODEC_OPT)) \
		-O1 -Wno-unused-function -I$(TOP)/t/unit \
		-o $@ $< $(CODEC_OBJ) -lcmocka $(CODEC_LIB)

$(BUILD)/unit/fuzz/%: $(TOP)/t/fuzz/%_fuzz.c $(TOP)/t/fuzz/replay.c \
		$(CODEC_OBJ) $(wildcard $(TOP)/t/fuzz/*.h)
	@mkdir -p $(@D)
	@$(CC) $(filter-out -Wmissing-prototypes,$(CODEC_OPT)) \
		-Wno-unused-function -o $@ $< $(TOP)/t/fuzz/replay.c \
		$(CODEC_OBJ) $(CODEC_LIB)

.SECONDARY: $(CODEC_OBJ)


# --- fuzzers: found inputs stay in build/fuzz, the seeds are in t/fuzz ---

FUZZ_DIR  := $(TOP)/build/fuzz
FUZZ_SRC  := $(wildcard $(TOP)/t/fuzz/*_fuzz.c)
FUZZ_BIN  := $(FUZZ_SRC:$(TOP)/t/fuzz/%_fuzz.c=$(FUZZ_DIR)/%)
FUZZ_OBJ  := $(CODEC_SRC:$(TOP)/ngx_iot_module/codec/%.c=$(FUZZ_DIR)/codec/%.o)
FUZZ_OPT  := -g -O1 -fno-sanitize-recover=undefined -DNGX_IOT_STANDALONE=1 \
             -I$(TOP)/ngx_iot_module/codec

.SECONDARY: $(FUZZ_OBJ)

fuzz-build: $(FUZZ_BIN)

fuzz: fuzz-build
	@for f in $(notdir $(FUZZ_BIN)); do \
		seeds=$(TOP)/t/fuzz/corpus/$$f; log=$(FUZZ_DIR)/$$f.log; \
		mkdir -p $(FUZZ_DIR)/corpus/$$f $(FUZZ_DIR)/found; \
		echo "fuzz $$f: $(FUZZ_SECONDS) s"; \
		$(FUZZ_DIR)/$$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
			-rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix=$(FUZZ_DIR)/found/$$f- \
			$(FUZZ_DIR)/corpus/$$f $$seeds > $$log 2>&1 \
			|| { tail -60 $$log; exit 1; }; \
		grep '^stat::number_of_executed_units' $$log; \
	done

$(FUZZ_DIR)/codec/%.o: $(TOP)/ngx_iot_module/codec/%.c \
		$(wildcard $(TOP)/ngx_iot_module/codec/*.h)
	@mkdir -p $(@D)
	@$(CLANG) $(FUZZ_OPT) -fsanitize=fuzzer-no-link,address,undefined \
		-c -o $@ $<

$(FUZZ_DIR)/%: $(TOP)/t/fuzz/%_fuzz.c $(FUZZ_OBJ) \
		$(wildcard $(TOP)/t/fuzz/*.h)
	@mkdir -p $(@D)
	@$(CLANG) $(FUZZ_OPT) -fsanitize=fuzzer,address,undefined -o $@ $< \
		$(FUZZ_OBJ) $(CODEC_LIB)


# the reference of settings is what the registry says
settings-doc:
	IOT_WRITE_DOCS=1 $(PROVE) -q $(TOP)/t/sql/settings_doc.t


bench: build
	@test -x $(TOP)/bench/run || { echo 'there is no bench/run'; exit 1; }
	@$(TOP)/bench/run


# --- for packages and for machines without a checkout ---

install: build
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR) $(DESTDIR)$(MODDIR) \
		$(DESTDIR)$(SHAREDIR)/lib/IotCtl $(DESTDIR)$(SHAREDIR)/conf \
		$(DESTDIR)$(UNITDIR) $(DESTDIR)/etc/systemd/system/nginx.service.d
	install -m 755 tools/iotctl $(DESTDIR)$(BINDIR)/iotctl
	install -m 644 tools/lib/IotCtl/*.pm $(DESTDIR)$(SHAREDIR)/lib/IotCtl/
	install -m 755 $(SECRET) $(DESTDIR)$(LIBDIR)/iot-secret
	install -m 755 $(HELPER) $(DESTDIR)$(LIBDIR)/iot-helper
	install -m 644 conf/*.conf $(DESTDIR)$(SHAREDIR)/conf/
	cp -R sql $(DESTDIR)$(SHAREDIR)/
	cp -R conf/mail $(DESTDIR)$(SHAREDIR)/conf/
	chmod -R u=rwX,go=rX $(DESTDIR)$(SHAREDIR)/sql \
		$(DESTDIR)$(SHAREDIR)/conf/mail
	install -m 644 conf/systemd/ngx-iot.service $(DESTDIR)$(UNITDIR)/
	install -m 644 conf/systemd/iot-helper@.service $(DESTDIR)$(UNITDIR)/
	install -d $(DESTDIR)$(SYSUSERSDIR)
	install -m 644 conf/systemd/sysusers.conf \
		$(DESTDIR)$(SYSUSERSDIR)/ngx_iot.conf
	install -m 644 conf/systemd/nginx-iot.conf \
		$(DESTDIR)/etc/systemd/system/nginx.service.d/iot.conf
	@# a new file and a rename: nginx dies of a module overwritten in place
	install -m 644 $(MODULE) $(DESTDIR)$(MODDIR)/ngx_iot_module.so.new
	mv -f $(DESTDIR)$(MODDIR)/ngx_iot_module.so.new \
		$(DESTDIR)$(MODDIR)/ngx_iot_module.so

dist:
	@mkdir -p build
	@name=ngx_iot-$$(sed -n 's/^Changes with ngx_iot \([^ ]*\).*/\1/p;q' \
		CHANGES) && git archive --format=tar.gz --prefix=$$name/ \
		-o build/$$name.tar.gz HEAD && echo build/$$name.tar.gz

clean:
	rm -rf $(TOP)/build
