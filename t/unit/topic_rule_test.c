
/*
 * Copyright (C) the ngx_iot authors
 */


#include "mqtt_lib.h"
#include "ngx_iot_topic_rule.h"


#define DEV  NGX_IOT_TOPIC_DEVICE
#define CUS  NGX_IOT_TOPIC_CUSTOMER
#define TEN  NGX_IOT_TOPIC_TENANT

#define PUB  NGX_IOT_TOPIC_PUBLISH
#define SUB  NGX_IOT_TOPIC_SUBSCRIBE


typedef struct {
    ngx_uint_t    who;
    ngx_uint_t    access;
    const char   *topic;
    ngx_int_t     rc;
} question_t;


static ngx_str_t
text(const char *s)
{
    ngx_str_t  t;

    t.data = (u_char *) s;
    t.len = strlen(s);

    return t;
}


static void
test_parse(void **state)
{
    ngx_str_t             line;
    ngx_iot_topic_rule_t  rule;

    (void) state;

    line = text("deny subscribe customer a b/+/#");
    assert_int_equal(ngx_iot_topic_rule_parse(&line, &rule), NGX_OK);
    assert_int_equal(rule.deny, 1);
    assert_int_equal(rule.access, SUB);
    assert_int_equal(rule.who, CUS);
    assert_int_equal(rule.filter.len, 7);
    assert_memory_equal(rule.filter.data, "a b/+/#", 7);

    line = text("allow all any #");
    assert_int_equal(ngx_iot_topic_rule_parse(&line, &rule), NGX_OK);
    assert_int_equal(rule.deny, 0);
    assert_int_equal(rule.access, PUB|SUB);
    assert_int_equal(rule.who, DEV|CUS|TEN);
}


static void
test_parse_bad(void **state)
{
    size_t                 i;
    ngx_str_t              line;
    ngx_iot_topic_rule_t   rule;
    char                   big[2000];
    static const char     *bad[] = {
        "", " ", "allow", "allow ", "allow all", "allow all any",
        "allow all any ", "Allow all any #", "allow  all any #",
        "permit all any #", "allow read any #", "allow all nobody #",
        "allow all any a#", "allow all any #/a", "allow all any a+/b",
        " allow all any #", "allow all any a/#/b"
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        line = text(bad[i]);

        if (ngx_iot_topic_rule_parse(&line, &rule) != NGX_ERROR) {
            fail_msg("\"%s\" is taken", bad[i]);
        }
    }

    memset(big, 'x', sizeof(big));
    memcpy(big, "allow all any ", 14);

    line.data = (u_char *) big;
    line.len = 14 + 1024;
    assert_int_equal(ngx_iot_topic_rule_parse(&line, &rule), NGX_OK);

    line.len = 14 + 1025;
    assert_int_equal(ngx_iot_topic_rule_parse(&line, &rule), NGX_ERROR);
}


static void
ask(const char **lines, ngx_uint_t n, const ngx_iot_topic_places_t *places,
    const question_t *questions, size_t nquestions)
{
    size_t                i;
    ngx_str_t             line, topic;
    ngx_iot_topic_rule_t  rules[8];

    for (i = 0; i < n; i++) {
        line = text(lines[i]);
        assert_int_equal(ngx_iot_topic_rule_parse(&line, &rules[i]), NGX_OK);
    }

    for (i = 0; i < nquestions; i++) {
        topic = text(questions[i].topic);

        if (ngx_iot_topic_rules_ask(rules, n, questions[i].who,
                                    questions[i].access, places, &topic)
            != questions[i].rc)
        {
            fail_msg("question %zu, \"%s\"", i, questions[i].topic);
        }
    }
}


static void
test_ask(void **state)
{
    ngx_iot_topic_places_t   places;
    static const char       *lines[] = {
        "deny all any plant/secret/#",
        "allow publish device plant/%u/+",
        "allow subscribe device plant/#",
        "allow all customer plant/open",
        "deny all device #"
    };
    static const question_t  questions[] = {
        { DEV, PUB, "plant/d1/x", NGX_OK },
        { DEV, PUB, "plant/d1/x/y", NGX_ABORT },
        { DEV, PUB, "plant/d2/x", NGX_ABORT },
        { DEV, SUB, "plant/d2/x", NGX_OK },
        { DEV, SUB, "plant/+/x", NGX_OK },
        { DEV, SUB, "plant/#", NGX_OK },
        { DEV, SUB, "#", NGX_ABORT },
        { DEV, SUB, "plant/secret/x", NGX_ABORT },
        { DEV, SUB, "plant/secret/#", NGX_ABORT },
        { DEV, SUB, "other", NGX_ABORT },
        { CUS, PUB, "plant/open", NGX_OK },
        { CUS, SUB, "plant/open", NGX_OK },
        { CUS, PUB, "plant/closed", NGX_DECLINED },
        { CUS, SUB, "plant/secret", NGX_ABORT },
        { TEN, SUB, "plant/secret/x", NGX_ABORT },
        { TEN, SUB, "anything", NGX_DECLINED },
        { TEN, PUB, "$SYS/x", NGX_DECLINED },
    };

    (void) state;

    places.user = text("d1");
    places.client_id = text("c1");

    ask(lines, 5, &places, questions,
        sizeof(questions) / sizeof(questions[0]));
}


/* a client id that would reach beyond its level opens nothing */

static void
test_places(void **state)
{
    size_t                   i;
    ngx_iot_topic_places_t   places;
    static const char       *allow[] = { "allow all any c/%c/#" };
    static const char       *deny[] = { "deny all any c/%c/#" };
    static const char       *ids[] = { "a/b", "+", "#", "" };
    static const question_t  declined[] = {
        { DEV, PUB, "c/a/b/x", NGX_DECLINED },
        { DEV, SUB, "c/+/x", NGX_DECLINED },
        { DEV, SUB, "c/#", NGX_DECLINED }
    };
    static const question_t  denied[] = { { DEV, PUB, "x", NGX_ABORT } };
    static const question_t  good[] = { { DEV, PUB, "c/me/x", NGX_OK } };

    (void) state;

    places.user = text("u");

    for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        places.client_id = text(ids[i]);

        ask(allow, 1, &places, declined, 3);
        ask(deny, 1, &places, denied, 1);
    }

    places.client_id = text("me");
    ask(allow, 1, &places, good, 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_bad),
        cmocka_unit_test(test_ask),
        cmocka_unit_test(test_places)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
