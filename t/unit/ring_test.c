
/*
 * Copyright (C) the ngx_iot authors
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ngx_iot_ring.h"


#define KILLS    200
#define ENTRIES  300000


static uint32_t
mix(uint32_t n)
{
    n ^= n >> 16;
    n *= 0x7feb352d;
    n ^= n >> 15;
    n *= 0x846ca68b;

    return n ^ n >> 16;
}


static ngx_iot_ring_t *
shared(size_t size)
{
    void  *mem;

    mem = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS,
               -1, 0);

    assert_ptr_not_equal(mem, MAP_FAILED);

    return ngx_iot_ring_init(mem, size);
}


/* an entry whose length and content follow from its two numbers */

static ngx_uint_t
put(ngx_iot_ring_t *ring, uint32_t epoch, uint32_t number)
{
    uint32_t               i, len;
    u_char                *p;
    ngx_iot_ring_entry_t  *entry;

    len = mix(number + epoch) % 300;

    entry = ngx_iot_ring_reserve(ring, len);
    if (entry == NULL) {
        return 0;
    }

    entry->from = epoch;
    entry->to = number;
    p = (u_char *) (entry + 1);

    for (i = 0; i < len; i++) {
        p[i] = (u_char) (number + i);
    }

    ngx_iot_ring_publish(ring);

    return 1;
}


static ngx_uint_t
right(ngx_iot_ring_entry_t *entry)
{
    u_char    *p;
    uint32_t   i;

    if (entry->len != mix(entry->to + entry->from) % 300) {
        return 0;
    }

    p = (u_char *) (entry + 1);

    for (i = 0; i < entry->len; i++) {
        if (p[i] != (u_char) (entry->to + i)) {
            return 0;
        }
    }

    return 1;
}


static void
test_sizes(void **state)
{
    size_t           bytes;
    ngx_iot_ring_t  *ring;

    static const struct {
        size_t    data;
        uint32_t  size;
    } cases[] = {
        { 4096, 4096 }, { 8191, 4096 }, { 8192, 8192 }, { 300000, 262144 }
    };

    for (bytes = 0; bytes < 4; bytes++) {
        ring = shared(cases[bytes].data + sizeof(ngx_iot_ring_t));
        assert_int_equal(ring->size, cases[bytes].size);
        assert_true(ngx_iot_ring_empty(ring));
        assert_null(ngx_iot_ring_reserve(ring, ring->size / 4 + 1));
        assert_non_null(ngx_iot_ring_reserve(ring, ring->size / 4));

        /* what is reserved is not there yet */

        assert_true(ngx_iot_ring_empty(ring));
    }
}


static void
test_full_and_empty(void **state)
{
    uint32_t               n, m, round;
    ngx_iot_ring_t        *ring;
    ngx_iot_ring_entry_t  *entry;

    ring = shared(4096 + sizeof(ngx_iot_ring_t));

    for (n = 0, m = 0, round = 0; round < 1000; round++) {

        while (put(ring, 0, n)) {
            n++;
        }

        assert_true(n > m);

        /* some are left, so that the end comes everywhere */

        while (n - m > round % 5) {
            assert_int_equal(ngx_iot_ring_peek(ring, &entry), NGX_OK);
            assert_int_equal(entry->to, m);
            assert_true(right(entry));
            ngx_iot_ring_consume(ring, entry);
            m++;
        }
    }

    while (m < n) {
        assert_int_equal(ngx_iot_ring_peek(ring, &entry), NGX_OK);
        ngx_iot_ring_consume(ring, entry);
        m++;
    }

    assert_true(ngx_iot_ring_empty(ring));
    assert_int_equal(ngx_iot_ring_peek(ring, &entry), NGX_AGAIN);
}


static void
test_waiting(void **state)
{
    ngx_iot_ring_t  *ring;

    ring = shared(4096 + sizeof(ngx_iot_ring_t));

    assert_int_equal(ngx_iot_ring_waited(ring), 0);
    ngx_iot_ring_wait(ring);
    assert_int_equal(ngx_iot_ring_waited(ring), 1);
    assert_int_equal(ngx_iot_ring_waited(ring), 0);
}


static void
test_two_processes(void **state)
{
    int                    status;
    pid_t                  pid;
    uint32_t               n;
    ngx_iot_ring_t        *ring;
    ngx_iot_ring_entry_t  *entry;

    ring = shared(8192 + sizeof(ngx_iot_ring_t));

    pid = fork();
    assert_int_not_equal(pid, -1);

    if (pid == 0) {
        for (n = 0; n < ENTRIES; n++) {
            while (!put(ring, 7, n)) {
                sched_yield();
            }
        }

        _exit(0);
    }

    for (n = 0; n < ENTRIES; n++) {

        while (ngx_iot_ring_peek(ring, &entry) == NGX_AGAIN) {
            sched_yield();
        }

        assert_int_equal(entry->from, 7);
        assert_int_equal(entry->to, n);
        assert_true(right(entry));

        ngx_iot_ring_consume(ring, entry);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(ngx_iot_ring_empty(ring));
}


/*
 * Writers are killed at any moment, and the next one goes on: whatever comes
 * out is whole, and of each writer there is a beginning without a gap.
 */

static void
test_killed_writers(void **state)
{
    pid_t                  pid;
    uint32_t               i, n, epoch, next, writers;
    ngx_iot_ring_t        *ring;
    ngx_iot_ring_entry_t  *entry;

    ring = shared(8192 + sizeof(ngx_iot_ring_t));

    epoch = 0;
    next = 0;
    writers = 0;

    for (i = 1; i <= KILLS; i++) {

        pid = fork();
        assert_int_not_equal(pid, -1);

        if (pid == 0) {
            for (n = 0; /* void */ ; n++) {
                while (!put(ring, i, n)) {
                    sched_yield();
                }
            }
        }

        for (n = 0; n < 50 + mix(i) % 500; /* void */ ) {

            if (ngx_iot_ring_peek(ring, &entry) == NGX_AGAIN) {
                sched_yield();
                continue;
            }

            if (entry->from != epoch) {
                assert_true(entry->from > epoch);
                epoch = entry->from;
                next = 0;
                writers++;
            }

            assert_int_equal(entry->to, next++);
            assert_true(right(entry));

            ngx_iot_ring_consume(ring, entry);
            n++;
        }

        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }

    assert_true(writers > KILLS / 2);
}


/* readers are killed: the next one gets the rest, the last entry maybe again */

static void
test_killed_readers(void **state)
{
    int                    fds[2], i;
    pid_t                  writer, pid;
    uint32_t               number, next;
    ngx_iot_ring_t        *ring;
    ngx_iot_ring_entry_t  *entry;

    ring = shared(8192 + sizeof(ngx_iot_ring_t));

    writer = fork();
    assert_int_not_equal(writer, -1);

    if (writer == 0) {
        for (number = 0; /* void */ ; number++) {
            while (!put(ring, 1, number)) {
                sched_yield();
            }
        }
    }

    next = 0;

    for (i = 0; i < KILLS; i++) {
        assert_int_equal(pipe(fds), 0);

        pid = fork();
        assert_int_not_equal(pid, -1);

        if (pid == 0) {
            for ( ;; ) {
                if (ngx_iot_ring_peek(ring, &entry) == NGX_AGAIN) {
                    sched_yield();
                    continue;
                }

                number = right(entry) ? entry->to : 0xffffffff;

                if (write(fds[1], &number, 4) != 4) {
                    _exit(1);
                }

                ngx_iot_ring_consume(ring, entry);
            }
        }

        close(fds[1]);

        if (read(fds[0], &number, 4) == 4) {
            assert_true(number == next || number + 1 == next);
            next = number + 1;
        }

        usleep(200);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);

        while (read(fds[0], &number, 4) == 4) {
            assert_int_equal(number, next);
            next++;
        }

        close(fds[0]);
    }

    kill(writer, SIGKILL);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    assert_true(next > KILLS);
}


/* whatever is in the memory: nothing beyond it is touched, and it ends */

static void
test_damage(void **state)
{
    size_t                 size;
    ngx_int_t              rc;
    uint32_t               i, n, errors, word;
    ngx_iot_ring_t        *ring;
    ngx_iot_ring_entry_t  *entry;

    errors = 0;
    size = 4096 + sizeof(ngx_iot_ring_t);

    for (i = 1; i < 5000; i++) {
        ring = ngx_iot_ring_init(malloc(size), size);
        ring->head = mix(i) % 16384;
        ring->tail = mix(i + 1) % 16384;

        if (i % 2) {
            ring->head &= ~(uint64_t) 7;
            ring->tail = ring->head - mix(i) % 4097;
            ring->tail &= ~(uint64_t) 7;
        }

        for (n = 0; n < 1024; n++) {
            word = mix(n * i) % (i % 3 ? 64 : 0xffffffff);

            if (n % 16 == 3) {
                word = 0xffffffff;
            }

            memcpy((u_char *) (ring + 1) + 4 * n, &word, 4);
        }

        for (n = 0; n < 1000; n++) {
            rc = ngx_iot_ring_peek(ring, &entry);

            if (rc != NGX_OK) {
                break;
            }

            assert_true((u_char *) entry >= (u_char *) (ring + 1));
            assert_true((u_char *) (entry + 1) + entry->len
                        <= (u_char *) ring + size);

            ngx_iot_ring_consume(ring, entry);
        }

        assert_true(n < 1000);

        if (rc == NGX_ERROR) {
            errors++;
            assert_true(ngx_iot_ring_empty(ring));
        }

        free(ring);
    }

    assert_true(errors > 1000);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_full_and_empty),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_two_processes),
        cmocka_unit_test(test_killed_writers),
        cmocka_unit_test(test_killed_readers),
        cmocka_unit_test(test_damage)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
