
/*
 * Copyright (C) the ngx_iot authors
 */


#include <inttypes.h>
#include <stdio.h>
#include <jansson.h>
#include "values.h"
#include "ngx_iot_cbor.h"
#include "ngx_iot_id.h"


#define NOW  1792142423000

#define VECTORS  "t/data/cbor_ingest.json"


static ngx_str_t cbor_unhex(const char *hex);
static ngx_int_t cbor_telemetry(const char *hex);
static int cbor_setup(void **state);
static void cbor_compare(const char *id, ngx_iot_value_t *value,
    json_t *expect);
static ngx_uint_t cbor_values(const char *id, json_t *values, json_t *ts,
    ngx_uint_t first);
static void cbor_vectors(void **state);
static void cbor_more_rules(void **state);
static void cbor_times(void **state);
static void cbor_limits(void **state);
static void cbor_many_keys(void **state);
static void cbor_json_text(void **state);
static void cbor_detection(void **state);
static void cbor_truncation(void **state);
static void cbor_no_memory(void **state);


static ngx_iot_points_t      cbor_out;
static ngx_iot_value_opts_t  cbor_opts;


static ngx_str_t
cbor_unhex(const char *hex)
{
    ngx_str_t  body;

    body.len = strlen(hex) / 2;
    body.data = values_alloc(NULL, body.len);

    assert_int_equal(ngx_iot_unhex(body.data, (u_char *) hex, strlen(hex)),
                     NGX_OK);

    return body;
}


static ngx_int_t
cbor_telemetry(const char *hex)
{
    ngx_str_t  body;

    body = cbor_unhex(hex);

    ngx_iot_points_init(&cbor_out, &values_pool);

    return ngx_iot_cbor_telemetry(&cbor_out, &body, NOW, &cbor_opts);
}


static int
cbor_setup(void **state)
{
    ngx_iot_value_opts_init(&cbor_opts);

    return 0;
}


static void
cbor_compare(const char *id, ngx_iot_value_t *value, json_t *expect)
{
    char        *text;
    json_t      *json, *v;
    uint64_t     bits;
    const char  *type;

    type = json_string_value(json_object_get(expect, "type"));
    v = json_object_get(expect, "value");

    if (strcmp(type, "LONG") == 0) {
        assert_int_equal(value->type, NGX_IOT_LONG);
        assert_true(json_is_integer(v));
        assert_true(value->u.l == json_integer_value(v));

    } else if (strcmp(type, "DOUBLE") == 0) {
        assert_int_equal(value->type, NGX_IOT_DOUBLE);
        memcpy(&bits, &value->u.d, sizeof(double));
        assert_true(bits == strtoull(json_string_value(
                                     json_object_get(expect, "bits")),
                                     NULL, 16));

    } else if (strcmp(type, "BOOLEAN") == 0) {
        assert_int_equal(value->type, NGX_IOT_BOOL);
        assert_int_equal(value->u.l, json_is_true(v));

    } else if (strcmp(type, "STRING") == 0) {
        assert_int_equal(value->type, NGX_IOT_TEXT);
        assert_int_equal(value->u.s.len, json_string_length(v));
        assert_memory_equal(value->u.s.data, json_string_value(v),
                            value->u.s.len);

    } else {
        assert_string_equal(type, "JSON");
        assert_int_equal(value->type, NGX_IOT_JSON);

        json = json_loadb((char *) value->u.s.data, value->u.s.len,
                          JSON_DECODE_ANY, NULL);
        assert_non_null(json);

        if (!json_equal(json, v)) {
            text = json_dumps(v, JSON_ENCODE_ANY);
            fail_msg("%s: %.*s is not %s", id, (int) value->u.s.len,
                     value->u.s.data, text);
        }

        json_decref(json);
    }
}


static ngx_uint_t
cbor_values(const char *id, json_t *values, json_t *ts, ngx_uint_t first)
{
    json_t      *expect;
    ngx_uint_t   i, n;
    const char  *key;

    n = 0;

    json_object_foreach(values, key, expect) {

        for (i = first; i < cbor_out.n; i++) {
            if (cbor_out.points[i].key.len == strlen(key)
                && memcmp(cbor_out.points[i].key.data, key, strlen(key)) == 0)
            {
                break;
            }
        }

        if (i == cbor_out.n) {
            fail_msg("%s: no key %s", id, key);
        }

        assert_true(cbor_out.points[i].ts
                    == (json_is_integer(ts) ? json_integer_value(ts) : NOW));

        cbor_compare(id, &cbor_out.points[i].value, expect);
        n++;
    }

    return n;
}


static void
cbor_vectors(void **state)
{
    json_t      *expect, *record, *records, *root, *row;
    size_t       i, k, n, accepted, refused;
    ngx_int_t    rc;
    ngx_str_t    body;
    const char  *error, *id, *mode;

    root = json_load_file(VECTORS, JSON_ALLOW_NUL, NULL);
    assert_non_null(root);

    accepted = 0;
    refused = 0;

    json_array_foreach(json_object_get(root, "vectors"), i, row) {

        id = json_string_value(json_object_get(row, "id"));
        mode = json_string_value(json_object_get(row, "mode"));
        error = json_string_value(json_object_get(row, "error"));
        expect = json_object_get(row, "expect");
        body = cbor_unhex(json_string_value(json_object_get(row, "hex")));

        ngx_iot_points_init(&cbor_out, &values_pool);

        if (strcmp(mode, "telemetry") == 0) {
            rc = ngx_iot_cbor_telemetry(&cbor_out, &body, NOW, &cbor_opts);

        } else {
            assert_string_equal(mode, "attributes");
            rc = ngx_iot_cbor_attributes(&cbor_out, &body, NOW, &cbor_opts);
        }

        if (error != NULL) {
            refused++;

            if (rc != NGX_DECLINED
                || cbor_out.error.len != strlen(error)
                || memcmp(cbor_out.error.data, error, strlen(error)) != 0)
            {
                fail_msg("%s: rc %d, \"%.*s\" is not %s", id, (int) rc,
                         (int) cbor_out.error.len, cbor_out.error.data,
                         error);
            }

            assert_int_equal(cbor_out.n, 0);
            continue;
        }

        accepted++;

        if (rc != NGX_OK) {
            fail_msg("%s: rc %d, %.*s", id, (int) rc,
                     (int) cbor_out.error.len, cbor_out.error.data);
        }

        records = json_object_get(expect, "records");

        if (records == NULL) {
            assert_true(json_is_object(json_object_get(expect, "values")));
            n = cbor_values(id, json_object_get(expect, "values"), NULL, 0);
            assert_int_equal(n, cbor_out.n);
            continue;
        }

        n = 0;

        json_array_foreach(records, k, record) {
            n += cbor_values(id, json_object_get(record, "values"),
                             json_object_get(record, "ts"), n);
        }

        assert_int_equal(n, cbor_out.n);
    }

    assert_int_equal(accepted, 40);
    assert_int_equal(refused, 61);

    json_decref(root);
}


/* what the vectors leave open */

static void
cbor_more_rules(void **state)
{
    ngx_uint_t  i;

    static const struct {
        const char  *hex;
        const char  *error;
    } rows[] = {
        /* values before ts, and what is beside them is still checked */
        { "a26676616c756573a1616101627473""05", NULL },
        { "a36676616c756573a161610162747305616100", NULL },
        { "a36676616c756573a1616101627473056161f97e00", "E_CBOR_RANGE" },
        { "a362747305617800""6676616c7565730a", "E_CBOR_SHAPE" },
        { "a26676616c75657301627473""05", "E_CBOR_SHAPE" },
        { "a26676616c756573a1616101627473""20", "E_CBOR_TS" },
        { "a26676616c756573a261610161610262747305", "E_CBOR_DUPKEY" },

        /* ts that no value could be is a bad time only in a record of time */
        { "a1627473f97e00", "E_CBOR_RANGE" },
        { "a16274731bffffffffffffffff", "E_CBOR_RANGE" },
        { "a2627473f97e006676616c756573a0", "E_CBOR_TS" },
        { "a2627473806676616c756573a0", "E_CBOR_TS" },
        { "a2627473c24101""6676616c756573a0", "E_CBOR_TS" },

        /* tag 1: to the end of the year 9999, and not a second later */
        { "a2627473c11b0000003afff4417f6676616c756573a0", NULL },
        { "a2627473c11b0000003afff441806676616c756573a0", "E_CBOR_TS" },
        { "a2627473c11b7fffffffffffffff6676616c756573a0", "E_CBOR_TS" },
        { "a2627473c1206676616c756573a0", "E_CBOR_TS" },
        { "a2627473c1fbbf1a36e2eb1c432d6676616c756573a0", NULL },
        { "a2627473c1fb7e37e43c8800759c6676616c756573a0", "E_CBOR_TS" },
        { "a2627473c1fbfe37e43c8800759c6676616c756573a0", "E_CBOR_TS" },
        { "a2627473c1f97e006676616c756573a0", "E_CBOR_TS" },

        /* untagged: the same end in milliseconds */
        { "a26274731b0000e677d21fdbff6676616c756573a0", NULL },
        { "a26274731b0000e677d21fdc006676616c756573a0", "E_CBOR_TS" },

        /* tags: on tags, on the wrong type, unknown, cut off, broken off */
        { "a16161c1c101", "E_CBOR_TAG" },
        { "a16161c1c24101", "E_CBOR_TAG" },
        { "a16161c601", "E_CBOR_TAG" },
        { "a16161d401", "E_CBOR_TAG" },
        { "a16161d601", "E_CBOR_TAG" },
        { "a16161d9d9f701", "E_CBOR_TAG" },
        { "d9d9f7d9d9f7a0", "E_CBOR_TAG" },
        { "c1a0", "E_CBOR_TAG" },
        { "a16161dbffffffffffffffff01", "E_CBOR_TAG" },
        { "a16161c1", "E_CBOR_TRUNCATED" },
        { "bf6161c1ff", "E_CBOR_MALFORMED" },
        { "a1c1616101", "E_CBOR_KEY" },

        /* keys */
        { "a18001", "E_CBOR_KEY" },
        { "a1610001", "E_CBOR_KEY" },
        { "a161c301", "E_CBOR_MALFORMED" },
        { "a17f616101ff01", "E_CBOR_MALFORMED" },
        { "a2616101""7f6161ff02", "E_CBOR_DUPKEY" },
        { "a26161f66161f6", "E_CBOR_DUPKEY" },
        { "a2616180616180", "E_CBOR_DUPKEY" },
        { "a2616161616161""01", "E_CBOR_DUPKEY" },
        { "a16161a26178a161790161""78""01", "E_CBOR_DUPKEY" },
        { "a36161a16178016162a1617801617801", NULL },

        /* a character may not be cut by two chunks */
        { "a161617f61c361a9ff", "E_CBOR_MALFORMED" },
        { "a161615f41c341a9ff", NULL },
        { "a161617fff", NULL },
        { "a161615fff", NULL },
        { "a161617f61c3", "E_CBOR_MALFORMED" },
        { "a161615f01ff", "E_CBOR_MALFORMED" },
        { "a16161817f6100ff", "E_CBOR_RANGE" },

        /* counts */
        { "82a0", "E_CBOR_TRUNCATED" },
        { "bb8000000000000000", "E_CBOR_TRUNCATED" },
        { "a161619affffffff", "E_CBOR_TRUNCATED" },
        { "a161615bffffffffffffffff00", "E_CBOR_TRUNCATED" },
        { "9f", "E_CBOR_TRUNCATED" },
        { "9fa0", "E_CBOR_TRUNCATED" },
        { "9fa0ff", NULL },
        { "d9d9f7", "E_CBOR_TRUNCATED" },
        { "d9d9", "E_CBOR_TRUNCATED" },

        /* simple values */
        { "a16161f3", "E_CBOR_MALFORMED" },
        { "a16161f818", "E_CBOR_MALFORMED" },
        { "a16161fc", "E_CBOR_MALFORMED" },
        { "a161615c", "E_CBOR_MALFORMED" },
        { "a161617d", "E_CBOR_MALFORMED" },
        { "a161619e", "E_CBOR_MALFORMED" },
        { "a16161bd", "E_CBOR_MALFORMED" },
        { "a16161dc", "E_CBOR_MALFORMED" },
        { "a16161df", "E_CBOR_MALFORMED" },

        /* depth counts wherever the container is */
        { "81a161618181818181818181818181818180", NULL },
        { "81a16161818181818181818181818181818180", "E_CBOR_DEPTH" },
        { "a3627473056676616c756573a06178818181818181818181818181818180",
          NULL },
        { "a3627473056676616c756573a0617881818181818181818181818181818180",
          "E_CBOR_DEPTH" }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        if (rows[i].error == NULL) {

            if (cbor_telemetry(rows[i].hex) != NGX_OK) {
                fail_msg("%s: %.*s", rows[i].hex, (int) cbor_out.error.len,
                         cbor_out.error.data);
            }

            continue;
        }

        assert_int_equal(cbor_telemetry(rows[i].hex), NGX_DECLINED);

        if (cbor_out.error.len != strlen(rows[i].error)
            || memcmp(cbor_out.error.data, rows[i].error, cbor_out.error.len))
        {
            fail_msg("%s: %.*s is not %s", rows[i].hex,
                     (int) cbor_out.error.len, cbor_out.error.data,
                     rows[i].error);
        }
    }
}


static void
cbor_times(void **state)
{
    char         hex[256];
    size_t       len;
    u_char      *p;
    ngx_int_t    rc;
    ngx_uint_t   i;

    static const struct {
        const char  *text;
        int64_t      ms;
    } rows[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:00.001Z", 1 },
        { "2000-02-29T23:59:59.9999Z", 951868799999 },
        { "2026-10-16T06:00:23Z", 1792130423000 },
        { "2026-10-16t06:00:23z", 1792130423000 },
        { "2026-10-16T06:00:23-00:00", 1792130423000 },
        { "2026-10-16T00:30:23-05:30", 1792130423000 },
        { "2024-02-29T00:00:00Z", 1709164800000 },
        { "2016-12-31T23:59:60Z", 1483228800000 },
        { "9999-12-31T23:59:59.999Z", 253402300799999 },
        { "1969-12-31T23:59:59-01:00", 3599000 },

        { "1969-12-31T23:59:59Z", -1 },
        { "1970-01-01T00:00:00+00:01", -1 },
        { "9999-12-31T23:59:59-00:01", -1 },
        { "0000-01-01T00:00:00Z", -1 },
        { "2023-02-29T00:00:00Z", -1 },
        { "1900-02-29T00:00:00Z", -1 },
        { "2023-04-31T00:00:00Z", -1 },
        { "2023-00-01T00:00:00Z", -1 },
        { "2023-13-01T00:00:00Z", -1 },
        { "2023-01-00T00:00:00Z", -1 },
        { "2023-01-01T24:00:00Z", -1 },
        { "2023-01-01T00:60:00Z", -1 },
        { "2023-01-01T00:00:61Z", -1 },
        { "2023-01-01T00:00:00", -1 },
        { "2023-01-01T00:00:00.Z", -1 },
        { "2023-01-01T00:00Z", -1 },
        { "2023-01-01 00:00:00Z", -1 },
        { "2023-01-01T00:00:00+24:00", -1 },
        { "2023-01-01T00:00:00+0100", -1 },
        { "2023-01-01T00:00:00+01", -1 },
        { "2023-01-01T00:00:00Zx", -1 },
        { "23-01-01T00:00:00Z", -1 },
        { "+023-01-01T00:00:00Z", -1 },
        { "", -1 }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        len = strlen(rows[i].text);

        p = (u_char *) hex;
        p += sprintf((char *) p, "a2627473c078%02x", (unsigned) len);
        p = ngx_iot_hex(p, (u_char *) rows[i].text, len);
        (void) sprintf((char *) p, "6676616c756573a1616101");

        rc = cbor_telemetry(hex);

        if (rows[i].ms < 0) {
            assert_int_equal(rc, NGX_DECLINED);
            assert_str(&cbor_out.error, "E_CBOR_TS");
            assert_int_equal(cbor_out.bad, NGX_IOT_BAD_TS);
            continue;
        }

        assert_int_equal(rc, NGX_OK);
        assert_int_equal(cbor_out.n, 1);

        if (cbor_out.points[0].ts != rows[i].ms) {
            fail_msg("%s is %" PRId64, rows[i].text, cbor_out.points[0].ts);
        }
    }
}


static void
cbor_limits(void **state)
{
    cbor_opts.max_points = 2;
    assert_int_equal(cbor_telemetry("a2616101616202"), NGX_OK);
    assert_int_equal(cbor_telemetry("a3616101616202616303"), NGX_BUSY);
    assert_int_equal(cbor_out.n, 0);

    cbor_opts.max_string = 3;
    assert_int_equal(cbor_telemetry("a1616166c3a9c3a9c3a9"), NGX_OK);
    assert_int_equal(cbor_telemetry("a161616461616161"), NGX_DECLINED);
    assert_str(&cbor_out.error, "E_CBOR_LIMIT");
    assert_int_equal(cbor_out.bad, NGX_IOT_BAD_LIMIT);
    assert_int_equal(cbor_telemetry("a1616143616161"), NGX_DECLINED);
    assert_int_equal(cbor_telemetry("a161618101"), NGX_OK);
    assert_int_equal(cbor_telemetry("a161618109"), NGX_OK);
    assert_int_equal(cbor_telemetry("a161618118ff"), NGX_DECLINED);

    cbor_opts.max_ts = 100;
    assert_int_equal(cbor_telemetry("a262747318646676616c756573a0"), NGX_OK);
    assert_int_equal(cbor_telemetry("a262747318656676616c756573a0"),
                     NGX_DECLINED);
    assert_str(&cbor_out.error, "E_CBOR_TS");
}


/* distinct keys by the thousand are no reason to be slow, a double is found */

static void
cbor_many_keys(void **state)
{
    char        *hex, *p;
    ngx_uint_t   i, n;

    n = 20000;
    hex = values_alloc(NULL, n * 14 + 32);

    p = hex + sprintf(hex, "bf");

    for (i = 0; i < n; i++) {
        p += sprintf(p, "653%u3%u3%u3%u3%u01", (unsigned) (i / 10000),
                     (unsigned) (i / 1000 % 10), (unsigned) (i / 100 % 10),
                     (unsigned) (i / 10 % 10), (unsigned) (i % 10));
    }

    (void) sprintf(p, "ff");

    assert_int_equal(cbor_telemetry(hex), NGX_OK);
    assert_int_equal(cbor_out.n, n);

    (void) sprintf(p, "65303030303701ff");

    assert_int_equal(cbor_telemetry(hex), NGX_DECLINED);
    assert_str(&cbor_out.error, "E_CBOR_DUPKEY");
}


static void
cbor_json_text(void **state)
{
    ngx_uint_t  i;
    ngx_str_t   body, json;

    static const struct {
        const char  *hex;
        const char  *json;
    } rows[] = {
        { "f6", "null" },
        { "f7", "null" },
        { "20", "-1" },
        { "f5", "true" },
        { "f93e00", "1.5" },
        { "d9d9f763610a22", "\"a\\n\\\"\"" },
        { "a2616183f5f4f6616243fbff01", "{\"a\":[true,false,null],"
                                        "\"b\":\"-_8B\"}" },
        { "bf61619fd642fbffd742fbffffff", "{\"a\":[\"+/8=\",\"FBFF\"]}" },
        { "82c11a613b1369c24101", "[1631261545,1]" }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        body = cbor_unhex(rows[i].hex);

        ngx_iot_points_init(&cbor_out, &values_pool);

        assert_int_equal(ngx_iot_cbor_to_json(&cbor_out, &json, &body),
                         NGX_OK);
        assert_str(&json, rows[i].json);
    }

    body = cbor_unhex("a26161016161""02");
    assert_int_equal(ngx_iot_cbor_to_json(&cbor_out, &json, &body),
                     NGX_DECLINED);
    assert_str(&cbor_out.error, "E_CBOR_DUPKEY");

    body = cbor_unhex("0101");
    assert_int_equal(ngx_iot_cbor_to_json(&cbor_out, &json, &body),
                     NGX_DECLINED);
    assert_str(&cbor_out.error, "E_CBOR_TRAILING");
}


static void
cbor_detection(void **state)
{
    ngx_uint_t  i;
    ngx_str_t   body;

    static const char  *cbor[] = { "80", "a0", "bf", "9f", "b8", "d9d9f7a0" };
    static const char  *json[] = { "", "7b7d", "5b5d", "efbbbf7b7d", "d9d9",
                                   "d9d9f8", "207b7d", "22", "c0", "f6" };

    for (i = 0; i < sizeof(cbor) / sizeof(cbor[0]); i++) {
        body = cbor_unhex(cbor[i]);
        assert_true(ngx_iot_cbor_detect(&body));
    }

    for (i = 0; i < sizeof(json) / sizeof(json[0]); i++) {
        body = cbor_unhex(json[i]);
        assert_false(ngx_iot_cbor_detect(&body));
    }
}


/* every beginning is refused as cut off, whatever stands at its end */

static void
cbor_truncation(void **state)
{
    size_t      n;
    ngx_str_t   body, part;

    body = cbor_unhex("82a2627473c11a613b13696676616c756573a361617f61626163ff"
                      "6162c2440102030461638201fb3ff199999999999abf6178f5"
                      "617943010203ff");

    ngx_iot_points_init(&cbor_out, &values_pool);
    assert_int_equal(ngx_iot_cbor_telemetry(&cbor_out, &body, NOW,
                                            &cbor_opts),
                     NGX_OK);
    assert_int_equal(cbor_out.n, 5);

    for (n = 1; n < body.len; n++) {
        part = values_str((char *) body.data, n);

        ngx_iot_points_init(&cbor_out, &values_pool);
        assert_int_equal(ngx_iot_cbor_telemetry(&cbor_out, &part, NOW,
                                                &cbor_opts),
                         NGX_DECLINED);
        assert_str(&cbor_out.error, "E_CBOR_TRUNCATED");
        assert_int_equal(cbor_out.n, 0);
    }
}


static void
cbor_no_memory(void **state)
{
    ngx_int_t   i, rc;
    ngx_str_t   body;

    body = cbor_unhex("a461617f61626163ff616243010203616381016164a1616501");

    for (i = 0; i < 100; i++) {
        ngx_iot_points_init(&cbor_out, &values_pool);

        values_left = i;
        rc = ngx_iot_cbor_telemetry(&cbor_out, &body, NOW, &cbor_opts);
        values_left = -1;

        if (rc == NGX_OK) {
            break;
        }

        assert_int_equal(rc, NGX_ERROR);
        assert_int_equal(cbor_out.n, 0);
    }

    /* keys, a joined text, points, base64url, two JSON texts */

    assert_int_equal(i, 6);
    assert_int_equal(cbor_out.n, 4);
}


#define cbor_test(f)                                                          \
    cmocka_unit_test_setup_teardown(f, cbor_setup, values_free)


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cbor_test(cbor_vectors),
        cbor_test(cbor_more_rules),
        cbor_test(cbor_times),
        cbor_test(cbor_limits),
        cbor_test(cbor_many_keys),
        cbor_test(cbor_json_text),
        cbor_test(cbor_detection),
        cbor_test(cbor_truncation),
        cbor_test(cbor_no_memory)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests_name("cbor", tests, NULL, NULL);
}
