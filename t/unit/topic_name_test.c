
/*
 * Copyright (C) the ngx_iot authors
 */


#include "mqtt_lib.h"
#include "ngx_iot_topic_name.h"
#include "ngx_iot_utf8.h"


typedef struct {
    const char   *bytes;            /* as lib_bytes() takes them */
    ngx_uint_t    utf8;
    ngx_uint_t    mqtt;
} text_t;


typedef struct {
    const char   *filter;
    const char   *name;
    ngx_uint_t    match;
} match_t;


typedef struct {
    const char   *outer;
    const char   *inner;
    ngx_uint_t    covers;
} cover_t;


typedef struct {
    const char   *filter;
    ngx_int_t     rc;
    const char   *group;
    const char   *rest;
} share_t;


typedef struct {
    const char   *pattern;
    const char   *user;
    const char   *client_id;
    ngx_int_t     rc;
    const char   *result;
} expand_t;


static const text_t  texts[] = {
    { "", 1, 1 },
    { "'a'", 1, 1 },
    { "20 7e", 1, 1 },
    { "'plain text of more than one word'", 1, 1 },
    { "00", 1, 0 },
    { "01", 1, 0 },
    { "1f", 1, 0 },
    { "7f", 1, 0 },
    { "'1234567'7f", 1, 0 },
    { "'1234567'1f", 1, 0 },
    { "'12345678'00'90123456'", 1, 0 },
    { "c280", 1, 0 },
    { "c29f", 1, 0 },
    { "c2a0", 1, 1 },
    { "dfbf", 1, 1 },
    { "e0a080", 1, 1 },
    { "ed9fbf", 1, 1 },
    { "ee8080", 1, 1 },
    { "efb78f", 1, 1 },
    { "efb790", 1, 0 },
    { "efb7af", 1, 0 },
    { "efb7b0", 1, 1 },
    { "efbbbf", 1, 1 },
    { "efbfbd", 1, 1 },
    { "efbfbe", 1, 0 },
    { "efbfbf", 1, 0 },
    { "f0908080", 1, 1 },
    { "f09f9880'1234567'", 1, 1 },
    { "f09fbfbe", 1, 0 },
    { "f48fbfbd", 1, 1 },
    { "f48fbfbf", 1, 0 },
    { "80", 0, 0 },
    { "bf'1234567'", 0, 0 },
    { "c080", 0, 0 },
    { "c1bf", 0, 0 },
    { "c2", 0, 0 },
    { "c2'a'", 0, 0 },
    { "c2c2", 0, 0 },
    { "e080af", 0, 0 },
    { "e09fbf", 0, 0 },
    { "e282", 0, 0 },
    { "e282'a'", 0, 0 },
    { "eda080", 0, 0 },
    { "edbfbf", 0, 0 },
    { "f08080af", 0, 0 },
    { "f08fbfbf", 0, 0 },
    { "f09f98", 0, 0 },
    { "f4908080", 0, 0 },
    { "f5808080", 0, 0 },
    { "ff", 0, 0 },
    { "'12345678'fe'9'", 0, 0 }
};


static const match_t  matches[] = {

    /* MQTT 5.0, section 4.7.1 */

    { "sport/tennis/player1/#", "sport/tennis/player1", 1 },
    { "sport/tennis/player1/#", "sport/tennis/player1/ranking", 1 },
    { "sport/tennis/player1/#", "sport/tennis/player1/score/x", 1 },
    { "sport/tennis/player1/#", "sport/tennis/player2", 0 },
    { "sport/tennis/player1/#", "sport/tennis/player11", 0 },
    { "sport/#", "sport", 1 },
    { "sport/#", "spor", 0 },
    { "sport/#", "sports", 0 },
    { "#", "a", 1 },
    { "#", "/", 1 },
    { "sport/tennis/+", "sport/tennis/player1", 1 },
    { "sport/tennis/+", "sport/tennis/player1/ranking", 0 },
    { "sport/+", "sport", 0 },
    { "sport/+", "sport/", 1 },
    { "+/+", "/finance", 1 },
    { "/+", "/finance", 1 },
    { "+", "/finance", 0 },
    { "+", "finance", 1 },
    { "+/tennis/#", "sport/tennis", 1 },
    { "+/tennis/#", "sport/golf", 0 },
    { "sport/+/player1", "sport/a/player1", 1 },
    { "sport/+/player1", "sport//player1", 1 },
    { "sport/+/player1", "sport/player1", 0 },
    { "+/#", "a", 1 },
    { "+/+/#", "a", 0 },
    { "+/+/#", "a/b", 1 },

    { "a", "a", 1 },
    { "a", "A", 0 },
    { "a", "a/", 0 },
    { "a/", "a", 0 },
    { "/a", "a", 0 },
    { "a//b", "a//b", 1 },
    { "a/+/b", "a//b", 1 },
    { "a/b", "a/b/c", 0 },
    { "a/b/c", "a/b", 0 },
    { "ACCOUNTS", "Accounts", 0 },

    /* section 4.7.2 */

    { "#", "$SYS/a", 0 },
    { "+/monitor/Clients", "$SYS/monitor/Clients", 0 },
    { "+", "$SYS", 0 },
    { "$SYS/#", "$SYS/a", 1 },
    { "$SYS/#", "$SYS", 1 },
    { "$SYS/monitor/+", "$SYS/monitor/Clients", 1 },
    { "a/#", "a/$b", 1 },
    { "a/+", "a/$b", 1 }
};


static const cover_t  covers[] = {
    { "#", "#", 1 },
    { "#", "a/b", 1 },
    { "#", "+/a", 1 },
    { "#", "$SYS/#", 0 },
    { "+/#", "$SYS/a", 0 },
    { "+/#", "#", 1 },
    { "+/+/#", "#", 0 },
    { "+", "#", 0 },
    { "+", "+", 1 },
    { "+", "a", 1 },
    { "a", "+", 0 },
    { "a", "a", 1 },
    { "a", "a/b", 0 },
    { "a", "a/#", 0 },
    { "a/#", "a", 1 },
    { "a/#", "a/#", 1 },
    { "a/#", "a/+/c", 1 },
    { "a/#", "b", 0 },
    { "a/+", "a/#", 0 },
    { "a/+", "a/b", 1 },
    { "a/+", "a", 0 },
    { "a/+/c", "a/b/c", 1 },
    { "a/+/c", "a/b/+", 0 },
    { "a/+/#", "a", 0 },
    { "a/+/#", "a/#", 0 },
    { "a/+/#", "a/b/#", 1 },
    { "a/b", "a", 0 },
    { "$SYS/#", "$SYS/broker/+", 1 }
};


static const share_t  shares[] = {
    { "a/b", NGX_DECLINED, "", "a/b" },
    { "$shared/g/a", NGX_DECLINED, "", "$shared/g/a" },
    { "$shar", NGX_DECLINED, "", "$shar" },
    { "$SHARE/g/a", NGX_DECLINED, "", "$SHARE/g/a" },
    { "$share/g/a", NGX_OK, "g", "a" },
    { "$share/group/+/b/#", NGX_OK, "group", "+/b/#" },
    { "$share/g//", NGX_OK, "g", "/" },
    { "$share/g//a", NGX_OK, "g", "/a" },
    { "$share", NGX_ERROR, NULL, NULL },
    { "$share/", NGX_ERROR, NULL, NULL },
    { "$share//", NGX_ERROR, NULL, NULL },
    { "$share//a", NGX_ERROR, NULL, NULL },
    { "$share/g", NGX_ERROR, NULL, NULL },
    { "$share/g/", NGX_ERROR, NULL, NULL },
    { "$share/+/a", NGX_ERROR, NULL, NULL },
    { "$share/g#/a", NGX_ERROR, NULL, NULL }
};


static const expand_t  expansions[] = {
    { "", "u", "c", NGX_OK, "" },
    { "plain/topic", NULL, NULL, NGX_OK, "plain/topic" },
    { "d/%c/up", NULL, "dev1", NGX_OK, "d/dev1/up" },
    { "%u/%c", "ann", "dev1", NGX_OK, "ann/dev1" },
    { "%u%u", "ab", NULL, NGX_OK, "abab" },
    { "100%%/%c", NULL, "x", NGX_OK, "100%/x" },
    { "%%c", NULL, NULL, NGX_OK, "%c" },
    { "50%", NULL, NULL, NGX_OK, "50%" },
    { "%x/a", NULL, NULL, NGX_OK, "%x/a" },
    { "d/%c", NULL, "%u", NGX_OK, "d/%u" },
    { "d/%c", NULL, "$x", NGX_OK, "d/$x" },
    { "d/%c", "u", NULL, NGX_DECLINED, NULL },
    { "d/%u", NULL, "c", NGX_DECLINED, NULL },
    { "d/%c", NULL, "", NGX_DECLINED, NULL },
    { "d/%c", NULL, "+", NGX_DECLINED, NULL },
    { "d/%c/x", NULL, "#", NGX_DECLINED, NULL },
    { "d/%c", NULL, "a/b", NGX_DECLINED, NULL },
    { "d/%u", "a+", "c", NGX_DECLINED, NULL },
    { "%c/x", NULL, "$SYS", NGX_DECLINED, NULL },
    { "$share/g/%c/#", NULL, "$SYS", NGX_DECLINED, NULL },
    { "$share/g/%c/#", NULL, "dev", NGX_OK, "$share/g/dev/#" }
};


static void
test_utf8(void **state)
{
    size_t           i, n;
    ngx_int_t        rc;
    ngx_str_t        s, a, b;
    ngx_iot_utf8_t   u;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        s = lib_bytes(texts[i].bytes);

        rc = ngx_iot_utf8_check(s.data, s.len);

        if ((rc == NGX_OK) != texts[i].utf8) {
            fail_msg("UTF-8 of %s", texts[i].bytes);
        }

        rc = ngx_iot_utf8_check_mqtt(s.data, s.len);

        if ((rc == NGX_OK) != texts[i].mqtt) {
            fail_msg("MQTT UTF-8 of %s", texts[i].bytes);
        }

        /* in two parts, at every place */

        for (n = 0; n <= s.len; n++) {
            a = lib_copy(s.data, n);
            b = lib_copy(s.data + n, s.len - n);

            memset(&u, 0, sizeof(u));

            rc = ngx_iot_utf8_update(&u, a.data, a.data + a.len);

            if (rc == NGX_OK) {
                rc = ngx_iot_utf8_update(&u, b.data, b.data + b.len);
            }

            assert_int_equal(rc == NGX_OK && u.need == 0, texts[i].utf8);

            free(a.data);
            free(b.data);
        }

        free(s.data);
    }
}


/* every character by itself, against the definition */

static void
test_utf8_all(void **state)
{
    u_char      buf[4];
    size_t      len;
    uint32_t    c;
    ngx_uint_t  well, fine;

    for (c = 0; c <= 0x10ffff; c++) {

        if (c < 0x80) {
            buf[0] = (u_char) c;
            len = 1;

        } else if (c < 0x800) {
            buf[0] = (u_char) (0xc0 | c >> 6);
            buf[1] = (u_char) (0x80 | (c & 0x3f));
            len = 2;

        } else if (c < 0x10000) {
            buf[0] = (u_char) (0xe0 | c >> 12);
            buf[1] = (u_char) (0x80 | (c >> 6 & 0x3f));
            buf[2] = (u_char) (0x80 | (c & 0x3f));
            len = 3;

        } else {
            buf[0] = (u_char) (0xf0 | c >> 18);
            buf[1] = (u_char) (0x80 | (c >> 12 & 0x3f));
            buf[2] = (u_char) (0x80 | (c >> 6 & 0x3f));
            buf[3] = (u_char) (0x80 | (c & 0x3f));
            len = 4;
        }

        well = c < 0xd800 || c > 0xdfff;
        fine = well && c >= 0x20 && (c < 0x7f || c > 0x9f)
               && (c < 0xfdd0 || c > 0xfdef)
               && (c % 0x10000) < 0xfffe;

        if ((ngx_iot_utf8_check(buf, len) == NGX_OK) != well
            || (ngx_iot_utf8_check_mqtt(buf, len) == NGX_OK) != fine)
        {
            fail_msg("U+%06x", (unsigned) c);
        }
    }
}


static void
check_topic(const char *text, ngx_uint_t depth, ngx_uint_t name,
    ngx_uint_t filter)
{
    ngx_str_t  s;

    s = lib_copy((const u_char *) text, strlen(text));

    if ((ngx_iot_topic_name_check(&s, depth) == NGX_OK) != name
        || (ngx_iot_topic_filter_check(&s, depth) == NGX_OK) != filter)
    {
        fail_msg("\"%s\"", text);
    }

    free(s.data);
}


static void
test_valid(void **state)
{
    ngx_str_t  s;

    check_topic("", 0, 0, 0);
    check_topic("a", 0, 1, 1);
    check_topic("/", 0, 1, 1);
    check_topic("//", 0, 1, 1);
    check_topic("a b/ c", 0, 1, 1);
    check_topic("$SYS/x", 0, 1, 1);
    check_topic("#", 0, 0, 1);
    check_topic("+", 0, 0, 1);
    check_topic("a/#", 0, 0, 1);
    check_topic("/#", 0, 0, 1);
    check_topic("+/a/+", 0, 0, 1);
    check_topic("+/+/#", 0, 0, 1);
    check_topic("a#", 0, 0, 0);
    check_topic("#a", 0, 0, 0);
    check_topic("a/#/b", 0, 0, 0);
    check_topic("#/", 0, 0, 0);
    check_topic("##", 0, 0, 0);
    check_topic("a+", 0, 0, 0);
    check_topic("a/+b", 0, 0, 0);
    check_topic("++", 0, 0, 0);
    check_topic("+#", 0, 0, 0);
    check_topic("a/b+/c", 0, 0, 0);
    check_topic("\x01", 0, 0, 0);
    check_topic("a\xff", 0, 0, 0);

    check_topic("$share/g/a", 0, 1, 1);
    check_topic("$share/g/a#", 0, 0, 0);
    check_topic("$share/g", 0, 1, 0);
    check_topic("$share", 0, 1, 0);
    check_topic("$share/+/a", 0, 0, 0);

    check_topic("a/b/c", 2, 1, 1);
    check_topic("a/b/c/d", 2, 0, 0);
    check_topic("///", 3, 1, 1);
    check_topic("////", 3, 0, 0);

    /* U+0000, and the longest */

    s.len = 65536;
    s.data = malloc(s.len);
    assert_non_null(s.data);

    memset(s.data, 'a', s.len);

    assert_int_equal(ngx_iot_topic_name_check(&s, 0), NGX_ERROR);
    assert_int_equal(ngx_iot_topic_filter_check(&s, 0), NGX_ERROR);

    s.len = 65535;

    assert_int_equal(ngx_iot_topic_name_check(&s, 0), NGX_OK);
    assert_int_equal(ngx_iot_topic_filter_check(&s, 0), NGX_OK);

    s.data[65534] = '\0';

    assert_int_equal(ngx_iot_topic_name_check(&s, 0), NGX_ERROR);
    assert_int_equal(ngx_iot_topic_filter_check(&s, 0), NGX_ERROR);

    free(s.data);
}


static void
test_match(void **state)
{
    size_t     i;
    ngx_str_t  filter, name;

    for (i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        filter = lib_copy((const u_char *) matches[i].filter,
                          strlen(matches[i].filter));
        name = lib_copy((const u_char *) matches[i].name,
                        strlen(matches[i].name));

        if (ngx_iot_topic_match(&filter, &name) != matches[i].match) {
            fail_msg("\"%s\" and \"%s\"", matches[i].filter,
                     matches[i].name);
        }

        free(filter.data);
        free(name.data);
    }
}


static void
test_covers(void **state)
{
    size_t     i;
    ngx_str_t  outer, inner;

    for (i = 0; i < sizeof(covers) / sizeof(covers[0]); i++) {
        outer = lib_copy((const u_char *) covers[i].outer,
                         strlen(covers[i].outer));
        inner = lib_copy((const u_char *) covers[i].inner,
                         strlen(covers[i].inner));

        if (ngx_iot_topic_covers(&outer, &inner) != covers[i].covers) {
            fail_msg("\"%s\" over \"%s\"", covers[i].outer, covers[i].inner);
        }

        free(outer.data);
        free(inner.data);
    }
}


/*
 * All filters and names over a small alphabet: a filter covers another if and
 * only if it matches all names that the other one does.
 */

static void
test_covers_all(void **state)
{
    size_t             i, j, k, len, all, used, nfilters, nnames;
    ngx_str_t          s;
    ngx_uint_t         inside;
    static u_char      text[2048][5];
    static ngx_str_t   filters[256], names[1364];
    static const char  letters[] = "ab$/+#";

    nfilters = 0;
    nnames = 0;

    used = 0;

    for (len = 1, all = 6; len <= 5; len++, all *= 6) {
        for (i = 0; i < all; i++) {

            s.data = text[used];
            s.len = len;

            for (j = 0, k = i; j < len; j++, k /= 6) {
                s.data[j] = (u_char) letters[k % 6];
            }

            if (ngx_iot_topic_name_check(&s, 0) == NGX_OK) {
                names[nnames++] = s;
                used++;

            } else if (nfilters < 256
                       && ngx_iot_topic_filter_check(&s, 0) == NGX_OK)
            {
                filters[nfilters++] = s;
                used++;
            }
        }
    }

    assert_int_equal(nnames, 4 + 16 + 64 + 256 + 1024);
    assert_int_equal(nfilters, 256);

    for (i = 0; i < nfilters; i++) {
        for (j = 0; j < nfilters; j++) {
            inside = 1;

            for (k = 0; k < nnames && inside; k++) {
                inside = !ngx_iot_topic_match(&filters[j], &names[k])
                         || ngx_iot_topic_match(&filters[i], &names[k]);
            }

            /*
             * the names end at five letters, so what they show to be inside
             * may yet not be covered; the other way is exact
             */

            if (!inside && ngx_iot_topic_covers(&filters[i], &filters[j])) {
                fail_msg("\"%.*s\" does not cover \"%.*s\"",
                         (int) filters[i].len, (char *) filters[i].data,
                         (int) filters[j].len, (char *) filters[j].data);
            }

            if (inside && filters[i].len < 4 && filters[j].len < 3
                && !ngx_iot_topic_covers(&filters[i], &filters[j]))
            {
                fail_msg("\"%.*s\" covers \"%.*s\"",
                         (int) filters[i].len, (char *) filters[i].data,
                         (int) filters[j].len, (char *) filters[j].data);
            }
        }
    }
}


static void
test_share(void **state)
{
    size_t                  i;
    ngx_str_t               filter;
    ngx_iot_topic_share_t   share;

    for (i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        filter = lib_copy((const u_char *) shares[i].filter,
                          strlen(shares[i].filter));

        if (ngx_iot_topic_share(&filter, &share) != shares[i].rc) {
            fail_msg("\"%s\"", shares[i].filter);
        }

        if (shares[i].rc != NGX_ERROR) {
            lib_assert_str(share.group, shares[i].group);
            lib_assert_str(share.filter, shares[i].rest);
        }

        free(filter.data);
    }
}


static void
test_levels(void **state)
{
    u_char     *pos, *end;
    ngx_str_t   s, level;

    s = lib_str("/a//bc/");
    pos = s.data;
    end = s.data + s.len;

    assert_int_equal(ngx_iot_topic_next_level(&pos, end, &level), NGX_OK);
    lib_assert_str(level, "");
    assert_int_equal(ngx_iot_topic_next_level(&pos, end, &level), NGX_OK);
    lib_assert_str(level, "a");
    assert_int_equal(ngx_iot_topic_next_level(&pos, end, &level), NGX_OK);
    lib_assert_str(level, "");
    assert_int_equal(ngx_iot_topic_next_level(&pos, end, &level), NGX_OK);
    lib_assert_str(level, "bc");
    assert_int_equal(ngx_iot_topic_next_level(&pos, end, &level), NGX_OK);
    lib_assert_str(level, "");
    assert_int_equal(ngx_iot_topic_next_level(&pos, end, &level), NGX_DONE);
    assert_null(pos);
}


static void
test_expand(void **state)
{
    size_t                   i;
    ngx_str_t                pattern, result;
    ngx_iot_topic_places_t   places;

    for (i = 0; i < sizeof(expansions) / sizeof(expansions[0]); i++) {
        memset(&places, 0, sizeof(places));
        memset(&result, 0, sizeof(result));

        pattern = lib_str(expansions[i].pattern);

        if (expansions[i].user) {
            places.user = lib_str(expansions[i].user);
        }

        if (expansions[i].client_id) {
            places.client_id = lib_str(expansions[i].client_id);
        }

        if (ngx_iot_topic_expand(&pattern, &places, &result)
            != expansions[i].rc)
        {
            fail_msg("\"%s\"", expansions[i].pattern);
        }

        if (expansions[i].rc != NGX_OK) {
            continue;
        }

        assert_int_equal(result.len, strlen(expansions[i].result));

        result.data = malloc(result.len + 1);
        assert_non_null(result.data);

        assert_int_equal(ngx_iot_topic_expand(&pattern, &places, &result),
                         NGX_OK);
        lib_assert_str(result, expansions[i].result);

        free(result.data);
    }
}


static void
test_expand_long(void **state)
{
    ngx_str_t                pattern, result;
    ngx_iot_topic_places_t   places;

    memset(&places, 0, sizeof(places));
    memset(&result, 0, sizeof(result));

    pattern = lib_str("%c%c");
    places.client_id.len = 32768;
    places.client_id.data = malloc(32768);
    assert_non_null(places.client_id.data);
    memset(places.client_id.data, 'a', 32768);

    assert_int_equal(ngx_iot_topic_expand(&pattern, &places, &result),
                     NGX_ERROR);

    places.client_id.len = 32767;

    assert_int_equal(ngx_iot_topic_expand(&pattern, &places, &result),
                     NGX_OK);
    assert_int_equal(result.len, 65534);

    places.client_id.data[5] = '\0';

    assert_int_equal(ngx_iot_topic_expand(&pattern, &places, &result),
                     NGX_DECLINED);

    free(places.client_id.data);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_utf8_all),
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_covers),
        cmocka_unit_test(test_covers_all),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_expand_long)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
