
/*
 * Copyright (C) the ngx_iot authors
 */


/*
 * First byte: the version of PSON.  Whatever decodes must encode, read back
 * the same, be skipped to the same end and print as JSON that reads again.
 */


#include <stdio.h>

#include "ngx_iot_pson.h"


typedef struct fuzz_piece_s  fuzz_piece_t;

struct fuzz_piece_s {
    fuzz_piece_t   *next;
    max_align_t     data[];
};


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *fuzz_alloc(void *data, size_t size);
static void fuzz_expect(int truth, const char *text);
static void fuzz_again(ngx_iot_tree_t *tree, ngx_uint_t version,
    ngx_iot_alloc_t *alloc);
static void fuzz_json(ngx_iot_tree_t *tree, ngx_iot_alloc_t *alloc);


static void *
fuzz_alloc(void *data, size_t size)
{
    fuzz_piece_t  *piece, **pieces;

    pieces = data;

    piece = malloc(sizeof(fuzz_piece_t) + size);
    if (piece == NULL) {
        return NULL;
    }

    piece->next = *pieces;
    *pieces = piece;

    return piece->data;
}


static void
fuzz_expect(int truth, const char *text)
{
    if (!truth) {
        fprintf(stderr, "broken: %s\n", text);
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char                *pos, *skip, *end;
    ngx_int_t              rc, skipped;
    ngx_uint_t             version;
    fuzz_piece_t          *pieces, *piece;
    ngx_iot_tree_t        *tree;
    ngx_iot_alloc_t        alloc;
    ngx_iot_tree_limit_t   limit;

    if (size == 0) {
        return 0;
    }

    version = 1 + (data[0] & 1);

    memset(&limit, 0, sizeof(limit));

    if (data[0] & 2) {
        limit.depth = 3;
        limit.nodes = 20;
        limit.size = 40;
    }

    pieces = NULL;
    alloc.alloc = fuzz_alloc;
    alloc.data = &pieces;

    pos = (u_char *) data + 1;
    skip = pos;
    end = (u_char *) data + size;

    rc = ngx_iot_pson_decode(&tree, version, &pos, end, &limit, &alloc);
    skipped = ngx_iot_pson_skip(version, &skip, end, &limit);

    fuzz_expect(rc == skipped, "decode and skip return the same");
    fuzz_expect(pos == skip, "decode and skip end the same");
    fuzz_expect(rc != NGX_ERROR, "there is memory");

    if (rc == NGX_OK) {
        fuzz_expect(pos > data + 1 && pos <= end, "the end is inside");

        fuzz_again(tree, 1, &alloc);
        fuzz_again(tree, 2, &alloc);
        fuzz_json(tree, &alloc);

    } else {
        fuzz_expect(pos == data + 1, "nothing is taken on failure");
    }

    while (pieces) {
        piece = pieces;
        pieces = piece->next;
        free(piece);
    }

    return 0;
}


/*
 * Encoding shrinks numbers: a double near a whole number becomes a float, and
 * that an integer.  From the second encoding on the bytes stay.
 */

static void
fuzz_again(ngx_iot_tree_t *tree, ngx_uint_t version, ngx_iot_alloc_t *alloc)
{
    u_char      *pos;
    ngx_str_t    bytes[3];
    ngx_uint_t   i;

    for (i = 0; i < 3; i++) {
        bytes[i].len = ngx_iot_pson_size(version, tree);
        fuzz_expect(bytes[i].len > 0, "what was decoded can be encoded");

        bytes[i].data = fuzz_alloc(alloc->data, bytes[i].len);
        pos = ngx_iot_pson_write(bytes[i].data, version, tree);
        fuzz_expect(pos == bytes[i].data + bytes[i].len,
                    "the size is exact");

        pos = bytes[i].data;
        fuzz_expect(ngx_iot_pson_decode(&tree, version, &pos,
                                        bytes[i].data + bytes[i].len, NULL,
                                        alloc)
                    == NGX_OK,
                    "what was encoded decodes");
        fuzz_expect(pos == bytes[i].data + bytes[i].len, "all of it");
    }

    fuzz_expect(bytes[1].len == bytes[2].len
                && memcmp(bytes[1].data, bytes[2].data, bytes[1].len) == 0,
                "the bytes are the same again");
}


static void
fuzz_json(ngx_iot_tree_t *tree, ngx_iot_alloc_t *alloc)
{
    size_t           size;
    ngx_str_t        text;
    ngx_iot_tree_t  *back, *copy;

    size = ngx_iot_tree_json_size(tree);

    text.data = fuzz_alloc(alloc->data, size);
    text.len = ngx_iot_tree_json_write(text.data, tree) - text.data;

    fuzz_expect(text.len <= size, "the JSON fits");
    fuzz_expect(ngx_iot_tree_json_read(&back, &text, NULL, alloc) == NGX_OK,
                "the JSON is JSON");

    copy = ngx_iot_tree_copy(tree, alloc);

    fuzz_expect(copy != NULL && ngx_iot_tree_equal(tree, copy),
                "a copy is equal");
}
