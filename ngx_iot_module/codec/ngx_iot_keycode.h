
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_KEYCODE_H_INCLUDED_
#define _NGX_IOT_KEYCODE_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * Pay-as-you-go keycodes, made and read: Nexus Keycode (full and small
 * protocol, Nexus Channel origin commands) and OpenPAYGO Token (9 and 12
 * digits) with the OpenPAYGO Metrics signatures.
 *
 * Nothing here allocates (but the Metrics signatures), logs or keeps a secret
 * behind.  Inputs may be NULL or of any length: they are refused.  Outputs
 * may not be NULL; they are written on NGX_IOT_KEYCODE_OK only.
 *
 * A secret is an ngx_str_t of exactly 16 raw bytes; NULL, other lengths and
 * a NULL data pointer are E_SECRET in every function below that takes one.
 * Arguments are checked in this order: type, secret, id or count, starting
 * code, value.
 */

#define NGX_IOT_KEYCODE_SECRET  16
#define NGX_IOT_KEYCODE_TEXT    64


typedef enum {
    NGX_IOT_KEYCODE_OK = 0,
    NGX_IOT_KEYCODE_E_SECRET,
    NGX_IOT_KEYCODE_E_TYPE,
    NGX_IOT_KEYCODE_E_MSG_ID,
    NGX_IOT_KEYCODE_E_COUNT,
    NGX_IOT_KEYCODE_E_START,
    NGX_IOT_KEYCODE_E_VALUE,
    NGX_IOT_KEYCODE_E_COLLISION,
    NGX_IOT_KEYCODE_E_FORMAT,
    NGX_IOT_KEYCODE_E_MAC,
    NGX_IOT_KEYCODE_E_REQUEST
} ngx_iot_keycode_err_e;


/* zero terminated, the zero is not counted in len */

typedef struct {
    size_t                    len;
    u_char                    data[NGX_IOT_KEYCODE_TEXT];
} ngx_iot_keycode_text_t;


/*
 * "E_SECRET"...: what an API answers as errorCode; "OK" for no error.
 * The second one is a sentence for people; neither carries any input.
 */

const char *ngx_iot_keycode_error(ngx_iot_keycode_err_e err);
const char *ngx_iot_keycode_error_text(ngx_iot_keycode_err_e err);

/*
 * Exactly 32 hex characters of either case to 16 bytes, else E_SECRET.  The
 * caller wipes secret with sodium_memzero().
 */

ngx_iot_keycode_err_e ngx_iot_keycode_secret(const u_char *hex, size_t len,
    u_char secret[NGX_IOT_KEYCODE_SECRET]);

/* NULL unless the secret is 16 bytes at a real address */

const u_char *ngx_iot_keycode_key(const ngx_str_t *secret);

/* SipHash-2-4; the number of which libsodium prints the bytes, low first */

uint64_t ngx_iot_keycode_hash(const u_char *data, size_t len,
    const u_char key[NGX_IOT_KEYCODE_SECRET]);

void ngx_iot_keycode_le32(u_char *p, uint32_t n);
void ngx_iot_keycode_be32(u_char *p, uint32_t n);


/*
 * Which message ids a device takes: center - below .. center + above, and
 * which of center - below .. center it has seen already, bit i being center
 * - i.  A new device has all bits clear, so that ids 0.. are good.
 */

typedef enum {
    NGX_IOT_NEXUS_ID_FRESH = 0,
    NGX_IOT_NEXUS_ID_USED,
    NGX_IOT_NEXUS_ID_OUTSIDE
} ngx_iot_nexus_id_e;

typedef struct {
    uint32_t                  center;
    uint32_t                  used;
    ngx_uint_t                below;
    ngx_uint_t                above;
} ngx_iot_nexus_window_t;

#define NGX_IOT_NEXUS_ID_MAX          65534
#define NGX_IOT_NEXUS_CENTER          23
#define NGX_IOT_NEXUS_BELOW           23
#define NGX_IOT_NEXUS_ABOVE           40
#define NGX_IOT_NEXUS_CHANNEL_CENTER  31
#define NGX_IOT_NEXUS_CHANNEL_BELOW   31
#define NGX_IOT_NEXUS_CHANNEL_ABOVE   8

void ngx_iot_nexus_window_init(ngx_iot_nexus_window_t *w);
void ngx_iot_nexus_window_init_channel(ngx_iot_nexus_window_t *w);
ngx_iot_nexus_id_e ngx_iot_nexus_window_state(const ngx_iot_nexus_window_t *w,
    int64_t id);

/* of an id that is not outside; ADD_CREDIT marks one, all others up to id */

void ngx_iot_nexus_window_mark(ngx_iot_nexus_window_t *w, uint32_t id);
void ngx_iot_nexus_window_mark_to(ngx_iot_nexus_window_t *w, uint32_t id);

/*
 * The id of the window around center that ends in the six bits of field, or
 * -1 if it would be no message id (above 65534).
 */

int64_t ngx_iot_nexus_window_id(uint32_t center, ngx_uint_t field);


/*
 * Nexus Keycode, full protocol: keypads with 0-9, "*" and "#".
 *
 * value is hours (ADD_CREDIT 0..99999, SET_CREDIT 0..99998), the target of
 * WIPE_STATE (0 credit, 1 credit and ids, 2 ids, 3 the restricted flag),
 * minutes (OQC_TEST 1..99), the application id (PASSTHROUGH 0..1) or the
 * device id (DEVICE_ID, on reading); digits are the payload of PASSTHROUGH or
 * the 8-10 digits of DEVICE_ID, as characters.
 */

typedef enum {
    NGX_IOT_NEXUS_ADD_CREDIT = 0,
    NGX_IOT_NEXUS_SET_CREDIT,
    NGX_IOT_NEXUS_UNLOCK,
    NGX_IOT_NEXUS_WIPE_STATE,
    NGX_IOT_NEXUS_ALLOW_TEST,
    NGX_IOT_NEXUS_OQC_TEST,
    NGX_IOT_NEXUS_DISPLAY_PAYG_ID,
    NGX_IOT_NEXUS_DEVICE_ID,
    NGX_IOT_NEXUS_PASSTHROUGH,
    NGX_IOT_NEXUS_TYPES
} ngx_iot_nexus_type_e;

#define NGX_IOT_NEXUS_DIGITS      30
#define NGX_IOT_NEXUS_ACTIVATION  14
#define NGX_IOT_NEXUS_CHECK       6

typedef enum {
    NGX_IOT_NEXUS_GROUPED = 0,         /* *ddd ddd ddd ddd dd# */
    NGX_IOT_NEXUS_COMPACT              /* *dddddddddddddd# */
} ngx_iot_nexus_style_e;

typedef struct {
    ngx_iot_nexus_type_e      type;
    int64_t                   message_id;
    int64_t                   value;
    size_t                    ndigits;
    u_char                    digits[NGX_IOT_NEXUS_DIGITS];
} ngx_iot_nexus_message_t;

/*
 * "add_credit", "set_credit", "unlock", "wipe_state", "allow_test",
 * "oqc_test", "display_payg_id", "device_id_confirmation", "passthrough",
 * nothing else and in this case only; else E_TYPE.
 */

ngx_iot_keycode_err_e ngx_iot_nexus_type(const u_char *p, size_t len,
    ngx_iot_nexus_type_e *type);
const char *ngx_iot_nexus_type_name(ngx_iot_nexus_type_e type);

/*
 * Whole days to hours for ADD_CREDIT (1..4166 days) or SET_CREDIT (0..4166),
 * else E_VALUE; other types are E_TYPE.
 */

ngx_iot_keycode_err_e ngx_iot_nexus_days(ngx_iot_nexus_type_e type,
    int64_t days, int64_t *hours);

/*
 * ADD_CREDIT, SET_CREDIT, UNLOCK and WIPE_STATE.
 *
 * E_TYPE: any other type; E_SECRET; E_MSG_ID: message_id outside 0..65534;
 * E_VALUE: value outside the ranges above (hours 99999 must be asked for as
 * UNLOCK).
 */

ngx_iot_keycode_err_e ngx_iot_nexus_full_make(const ngx_iot_nexus_message_t *m,
    const ngx_str_t *secret, ngx_iot_nexus_style_e style,
    ngx_iot_keycode_text_t *text);

/*
 * ALLOW_TEST, OQC_TEST, DISPLAY_PAYG_ID (the same for every device of the
 * world: only for roles with that permission), DEVICE_ID and PASSTHROUGH.
 *
 * E_TYPE: any other type, or an application id other than 0 and 1; E_VALUE:
 * minutes outside 1..99; E_FORMAT: digits that are none, a device id of other
 * than 8-10 digits, a passthrough code of other than 3-30 digits in total or
 * of 14, which a device would take for an activation code.
 */

ngx_iot_keycode_err_e ngx_iot_nexus_full_make_factory(
    const ngx_iot_nexus_message_t *m, ngx_iot_nexus_style_e style,
    ngx_iot_keycode_text_t *text);

/*
 * Blanks and hyphens are ignored.  center is the highest id that the device
 * has accepted, at least 23.
 *
 * E_SECRET; E_MSG_ID: center outside 23..65534; E_FORMAT: not "*", 3..30
 * digits and "#", or digits of no kind of message; E_MAC: 14 digits that do
 * not verify for whatever reason, factory codes with a wrong check; E_VALUE:
 * a WIPE_STATE or OQC_TEST that verifies but has a target or minutes that are
 * never made; E_TYPE: passthrough for an application other than 0 and 1.
 */

ngx_iot_keycode_err_e ngx_iot_nexus_full_read(const u_char *p, size_t len,
    const ngx_str_t *secret, int64_t center, ngx_iot_nexus_message_t *m);

/*
 * digits between prefix and suffix, in groups of group digits.  E_FORMAT: no
 * digits, other characters, group 0, or too long for text.  NULL for prefix,
 * suffix or separator is none.
 */

ngx_iot_keycode_err_e ngx_iot_nexus_render(const u_char *digits, size_t n,
    const ngx_str_t *prefix, const ngx_str_t *suffix,
    const ngx_str_t *separator, ngx_uint_t group,
    ngx_iot_keycode_text_t *text);

/*
 * The inverse for "*" ... "#": at most NGX_IOT_NEXUS_DIGITS characters to
 * digits, their number to n; E_FORMAT.
 */

ngx_iot_keycode_err_e ngx_iot_nexus_digits(const u_char *p, size_t len,
    u_char *digits, size_t *n);

/*
 * The first n (up to 8) digits of a token, as numbers 0..9, under the check
 * that follows them; the second one undoes the first.
 */

void ngx_iot_nexus_obscure(u_char *digits, size_t n, uint32_t check);
void ngx_iot_nexus_reveal(u_char *digits, size_t n, uint32_t check);

/* n digits, as numbers 0..9, most significant first; n is at most 9 for get */

void ngx_iot_nexus_put(u_char *digits, size_t n, uint32_t number);
uint32_t ngx_iot_nexus_get(const u_char *digits, size_t n);

/* the last six decimal digits of the low 32 bits of the hash */

uint32_t ngx_iot_nexus_check(const u_char *data, size_t len,
    const u_char key[NGX_IOT_KEYCODE_SECRET]);


/*
 * Nexus Keycode, small protocol: pads with the keys 1 to 5.
 *
 * value is days (ADD_CREDIT 1..405, SET_CREDIT and EXTENDED_SET 0..960), the
 * function of MAINTENANCE (0 wipe credit, 1 credit and ids, 2 ids) or of TEST
 * (0 short, 1 one hour), or the 26 bits of PASSTHROUGH.  A reader reports the
 * days that the device gives, which may be more than was asked for.
 * EXTENDED_SET and EXTENDED_UNLOCK clear the restricted flag, too.
 */

typedef enum {
    NGX_IOT_NEXUS_SMALL_ADD_CREDIT = 0,
    NGX_IOT_NEXUS_SMALL_SET_CREDIT,
    NGX_IOT_NEXUS_SMALL_UNLOCK,
    NGX_IOT_NEXUS_SMALL_SET_UNLOCK,
    NGX_IOT_NEXUS_SMALL_WIPE_RESTRICTED,
    NGX_IOT_NEXUS_SMALL_MAINTENANCE,
    NGX_IOT_NEXUS_SMALL_TEST,
    NGX_IOT_NEXUS_SMALL_PASSTHROUGH,
    NGX_IOT_NEXUS_SMALL_EXTENDED_SET,
    NGX_IOT_NEXUS_SMALL_EXTENDED_UNLOCK,
    NGX_IOT_NEXUS_SMALL_TYPES
} ngx_iot_nexus_small_type_e;

typedef struct {
    ngx_iot_nexus_small_type_e  type;
    int64_t                     message_id;
    int64_t                     value;
} ngx_iot_nexus_small_t;

/*
 * "1dd ddd ddd ddd ddd", or without blanks if compact.  TEST and PASSTHROUGH
 * take no secret (NULL); message_id is ignored by these and MAINTENANCE.
 *
 * E_TYPE; E_SECRET; E_MSG_ID: outside 0..65534; E_VALUE: outside the ranges
 * above, or a passthrough whose first bit is set, which a device would take
 * for an extended message; E_COLLISION: the code would be ambiguous, take the
 * next id.
 */

ngx_iot_keycode_err_e ngx_iot_nexus_small_make(const ngx_iot_nexus_small_t *m,
    const ngx_str_t *secret, ngx_iot_nexus_style_e style,
    ngx_iot_keycode_text_t *text);

/*
 * E_SECRET; E_MSG_ID: center outside 23..65534; E_FORMAT: not a "1" and 14
 * keys of 2-5 (blanks and hyphens are ignored); E_MAC; E_TYPE: an extended
 * message of an unknown type; E_VALUE: verifies, but the body is reserved;
 * E_COLLISION: verifies, but in more than one way.
 */

ngx_iot_keycode_err_e ngx_iot_nexus_small_read(const u_char *p, size_t len,
    const ngx_str_t *secret, int64_t center, ngx_iot_nexus_small_t *m);


/*
 * Nexus Channel origin commands: tokens that travel as the payload of a
 * passthrough code of application 1, and the UART unlock code that travels
 * in application 0.  Counts are 0..2^32-1, else E_COUNT.
 */

typedef enum {
    NGX_IOT_NEXUS_CHANNEL_UNLINK_ALL = 0,
    NGX_IOT_NEXUS_CHANNEL_UNLOCK_ALL,
    NGX_IOT_NEXUS_CHANNEL_UNLINK,
    NGX_IOT_NEXUS_CHANNEL_LINK,
    NGX_IOT_NEXUS_CHANNEL_TYPES
} ngx_iot_nexus_channel_type_e;

typedef struct {
    uint16_t                  authority;
    uint32_t                  id;
} ngx_iot_nexus_accessory_t;

typedef struct {
    ngx_iot_nexus_channel_type_e  type;
    int64_t                       count;      /* of the controller */
    ngx_iot_nexus_accessory_t     accessory;  /* UNLINK */
    uint32_t                      challenge;  /* LINK, 0..999999 */
} ngx_iot_nexus_channel_t;

/* what an accessory expects of a LINK for its count; E_SECRET, E_COUNT */

ngx_iot_keycode_err_e ngx_iot_nexus_channel_challenge(
    const ngx_str_t *accessory_key, int64_t accessory_count,
    uint32_t *challenge);

/* E_TYPE; E_SECRET; E_COUNT; E_VALUE: a challenge above 999999 */

ngx_iot_keycode_err_e ngx_iot_nexus_channel_make(
    const ngx_iot_nexus_channel_t *c, const ngx_str_t *controller_key,
    ngx_iot_nexus_style_e style, ngx_iot_keycode_text_t *text);

/*
 * The digits of a passthrough message (ngx_iot_nexus_full_read()) whose value
 * is 1.  Of several counts of the window that verify, an unused one wins.
 * UNLINK names its accessory by one digit only, hence the list of those that
 * are linked; it may be empty.
 *
 * E_SECRET; E_FORMAT: not digits, or of a length that no command has; E_MAC:
 * anything that does not verify.
 */

ngx_iot_keycode_err_e ngx_iot_nexus_channel_read(const u_char *digits,
    size_t n, const ngx_str_t *controller_key,
    const ngx_iot_nexus_window_t *w,
    const ngx_iot_nexus_accessory_t *linked, ngx_uint_t nlinked,
    ngx_iot_nexus_channel_t *c);

ngx_iot_keycode_err_e ngx_iot_nexus_uart_key(const ngx_str_t *secret,
    u_char key[NGX_IOT_KEYCODE_SECRET]);
ngx_iot_keycode_err_e ngx_iot_nexus_uart_make(const ngx_str_t *secret,
    ngx_iot_nexus_style_e style, ngx_iot_keycode_text_t *text);

/* the digits of a passthrough message of application 0; E_FORMAT, E_MAC */

ngx_iot_keycode_err_e ngx_iot_nexus_uart_read(const u_char *digits, size_t n,
    const ngx_str_t *secret);


/*
 * What a device does with full protocol codes: for acceptance tests and for
 * support staff who ask why a code did nothing.
 */

typedef enum {
    NGX_IOT_NEXUS_INVALID = 0,
    NGX_IOT_NEXUS_DUPLICATE,
    NGX_IOT_NEXUS_APPLIED,
    NGX_IOT_NEXUS_DISPLAY_ID,
    NGX_IOT_NEXUS_PASSED               /* the product's own code decides */
} ngx_iot_nexus_feedback_e;

typedef struct {
    ngx_iot_nexus_window_t    window;
    uint64_t                  credit;            /* seconds */
    int64_t                   id;                /* 0: not known */
    ngx_uint_t                short_tests;       /* of a lifetime */
    ngx_uint_t                long_tests;
    unsigned                  unlocked:1;
    unsigned                  restricted:1;
} ngx_iot_nexus_device_t;

void ngx_iot_nexus_device_init(ngx_iot_nexus_device_t *d);
void ngx_iot_nexus_device_elapse(ngx_iot_nexus_device_t *d, uint64_t seconds);
ngx_iot_nexus_feedback_e ngx_iot_nexus_device_enter(ngx_iot_nexus_device_t *d,
    const ngx_str_t *secret, const u_char *p, size_t len);


/*
 * What a loan platform asks for, one JSON object already taken apart: text
 * is the characters of a string or the text of a number.
 */

typedef enum {
    NGX_IOT_KEYCODE_MEMBER_NUMBER = 0,
    NGX_IOT_KEYCODE_MEMBER_STRING,
    NGX_IOT_KEYCODE_MEMBER_OTHER       /* null, true, false, nested */
} ngx_iot_keycode_member_e;

typedef struct {
    ngx_str_t                 name;
    ngx_str_t                 text;
    ngx_iot_keycode_member_e  kind;
} ngx_iot_keycode_member_t;

/*
 * Both dialects: {"pay_g_tkn":"6"}, {"set_tkn":"11"}, {"unlock_tkn":"1"} and
 * {"method":"Add Credit"|"Set Credit"|"Unlock PAYG","credit":5}.  Sets type
 * and value (hours) of m and clears the rest.
 *
 * E_REQUEST: not exactly one known command; E_VALUE: for add and set not a
 * whole number of days (digits only, as a number or a string) of 1..4166 and
 * 0..4166.
 */

ngx_iot_keycode_err_e ngx_iot_keycode_request(
    const ngx_iot_keycode_member_t *members, ngx_uint_t n,
    ngx_iot_nexus_message_t *m);


/*
 * OpenPAYGO Token.
 *
 * start is the starting code, 0 to derive it from the key.  count is the last
 * count used.  value is in units, of which divider make a day: 0..995, or
 * 0..999999 in extended tokens, for ADD_TIME and SET_TIME; none (or 0) for
 * the other two.
 */

typedef enum {
    NGX_IOT_OPENPAYGO_INVALID = 0,
    NGX_IOT_OPENPAYGO_ADD_TIME,
    NGX_IOT_OPENPAYGO_SET_TIME,
    NGX_IOT_OPENPAYGO_DISABLE_PAYG,
    NGX_IOT_OPENPAYGO_COUNTER_SYNC,
    NGX_IOT_OPENPAYGO_ALREADY_USED,
    NGX_IOT_OPENPAYGO_TYPES
} ngx_iot_openpaygo_type_e;

#define NGX_IOT_OPENPAYGO_NONE       -1
#define NGX_IOT_OPENPAYGO_START_MAX  999999999
#define NGX_IOT_OPENPAYGO_COUNT_MAX  65535
#define NGX_IOT_OPENPAYGO_USED       34
#define NGX_IOT_OPENPAYGO_DISABLE    998
#define NGX_IOT_OPENPAYGO_SYNC       999

typedef struct {
    ngx_iot_openpaygo_type_e  type;
    int64_t                   start;
    int64_t                   count;
    int64_t                   value;
    int64_t                   test_code;    /* never made; NONE if none */
    unsigned                  restricted:1; /* keys 1-4 only */
    unsigned                  extended:1;   /* 12 digits */
} ngx_iot_openpaygo_request_t;

/*
 * used: which of the 17 counts up to count, and up to the highest used one,
 * are used; the order does not matter.
 */

typedef struct {
    int64_t                   count;
    ngx_uint_t                nused;
    uint32_t                  used[NGX_IOT_OPENPAYGO_USED];
    unsigned                  tracked:1;
} ngx_iot_openpaygo_device_t;

typedef struct {
    ngx_iot_openpaygo_type_e  type;
    int64_t                   count;
    int64_t                   value;
    unsigned                  extended:1;
} ngx_iot_openpaygo_token_t;

/* "ADD_TIME", "SET_TIME", "DISABLE_PAYG", "COUNTER_SYNC"; else E_TYPE */

ngx_iot_keycode_err_e ngx_iot_openpaygo_type(const u_char *p, size_t len,
    ngx_iot_openpaygo_type_e *type);
const char *ngx_iot_openpaygo_type_name(ngx_iot_openpaygo_type_e type);

/*
 * An amount of days in decimal text ("5", "0.25", at most nine digits on
 * either side of the point) times divider, rounded to the nearest unit, ties
 * to even, with nothing lost to binary fractions.
 *
 * E_VALUE: NULL or empty, signs, exponents or anything else that is not such
 * a number, divider outside 1..255, more than 999999 units.
 */

ngx_iot_keycode_err_e ngx_iot_openpaygo_units(const u_char *p, size_t len,
    int64_t divider, int64_t *units);

/*
 * The token and the count to store.  Costs up to 65535 hashes, some
 * milliseconds: not for the worker of a server.
 *
 * E_TYPE: not one of the four; E_SECRET; E_COUNT: count is negative or the new
 * one would be above 65535; E_START: outside 0..999999999; E_VALUE.
 */

ngx_iot_keycode_err_e ngx_iot_openpaygo_make(
    const ngx_iot_openpaygo_request_t *r, const ngx_str_t *key,
    ngx_iot_keycode_text_t *text, int64_t *new_count);

/*
 * What a device in this state does with a token.  INVALID and ALREADY_USED
 * are answers, not errors; they leave the device alone.  Any other type has
 * changed it.  Values 998 and 999 at an even count, which are never made,
 * are ADD_TIME.
 *
 * E_SECRET; E_COUNT: a count of the device outside 0..65535 or nused above
 * 34; E_START; E_FORMAT: not 1..12 digits, or, if restricted, not 15 or 20
 * digits of 1-4 (blanks are ignored).
 */

ngx_iot_keycode_err_e ngx_iot_openpaygo_read(const u_char *p, size_t len,
    const ngx_str_t *key, int64_t start, ngx_uint_t restricted,
    ngx_iot_openpaygo_device_t *device, ngx_iot_openpaygo_token_t *token);

/* the parts: of the hash, of the chain, of the text */

uint32_t ngx_iot_openpaygo_reduce(uint64_t hash);
uint32_t ngx_iot_openpaygo_next(uint32_t code,
    const u_char key[NGX_IOT_KEYCODE_SECRET]);
uint32_t ngx_iot_openpaygo_start(const u_char key[NGX_IOT_KEYCODE_SECRET]);
void ngx_iot_openpaygo_print(uint64_t token, ngx_uint_t restricted,
    ngx_uint_t extended, ngx_iot_keycode_text_t *text);
ngx_uint_t ngx_iot_openpaygo_acceptable(const ngx_iot_openpaygo_device_t *d,
    int64_t count, ngx_uint_t sync);

uint64_t ngx_iot_openpaygo_ext_reduce(uint64_t hash);
uint64_t ngx_iot_openpaygo_ext_next(uint64_t code,
    const u_char key[NGX_IOT_KEYCODE_SECRET]);
uint64_t ngx_iot_openpaygo_ext_token(uint32_t start, uint32_t value,
    uint32_t count, const u_char key[NGX_IOT_KEYCODE_SECRET]);
void ngx_iot_openpaygo_ext_find(uint64_t number, uint32_t start,
    const u_char key[NGX_IOT_KEYCODE_SECRET],
    const ngx_iot_openpaygo_device_t *d, ngx_iot_openpaygo_token_t *token);


/*
 * OpenPAYGO Metrics signatures: two letters and up to 16 hex digits.  All
 * members are text as received, empty if absent; data, history and so on are
 * JSON texts whose insignificant white space is left out of the hash here.
 */

typedef struct {
    ngx_str_t                 serial;
    ngx_str_t                 timestamp;
    ngx_str_t                 request_count;
    ngx_str_t                 data;
    ngx_str_t                 history;
} ngx_iot_openpaygo_metrics_t;

typedef struct {
    ngx_str_t                 active_until;
    ngx_str_t                 active_left;
    ngx_str_t                 token_list;
    ngx_str_t                 settings;
    ngx_str_t                 extra_data;
} ngx_iot_openpaygo_answer_t;

/*
 * method is "sa", "ta", "ca", "da" or "ra".  E_TYPE: another method;
 * E_SECRET; E_REQUEST: no serial, or what the method signs is missing;
 * E_FORMAT: a history for "ra" that is no JSON array; E_VALUE: no memory.
 */

ngx_iot_keycode_err_e ngx_iot_openpaygo_sign(const u_char *method, size_t len,
    const ngx_iot_openpaygo_metrics_t *m, const ngx_str_t *key,
    ngx_iot_alloc_t *a, ngx_iot_keycode_text_t *text);

/* compares in constant time; E_MAC, else as above */

ngx_iot_keycode_err_e ngx_iot_openpaygo_verify(const ngx_str_t *auth,
    const ngx_iot_openpaygo_metrics_t *m, const ngx_str_t *key,
    ngx_iot_alloc_t *a);

/* of serial, timestamp and request_count of the request, and the answer */

ngx_iot_keycode_err_e ngx_iot_openpaygo_sign_answer(
    const ngx_iot_openpaygo_metrics_t *m,
    const ngx_iot_openpaygo_answer_t *answer, const ngx_str_t *key,
    ngx_iot_alloc_t *a, ngx_iot_keycode_text_t *text);


#endif /* _NGX_IOT_KEYCODE_H_INCLUDED_ */
