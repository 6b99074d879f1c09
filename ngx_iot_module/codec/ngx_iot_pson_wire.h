
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_PSON_WIRE_H_INCLUDED_
#define _NGX_IOT_PSON_WIRE_H_INCLUDED_


#include "ngx_iot_pson.h"


/* what the reader and the writer of PSON have in common */

/* version 1: tag = type << 3 | wire */

#define NGX_IOT_PSON1_NULL          0
#define NGX_IOT_PSON1_POSITIVE      1
#define NGX_IOT_PSON1_NEGATIVE      2
#define NGX_IOT_PSON1_FLOAT         3
#define NGX_IOT_PSON1_DOUBLE        4
#define NGX_IOT_PSON1_TRUE          5
#define NGX_IOT_PSON1_FALSE         6
#define NGX_IOT_PSON1_ZERO          7
#define NGX_IOT_PSON1_ONE           8
#define NGX_IOT_PSON1_TEXT          9
#define NGX_IOT_PSON1_EMPTY_TEXT    10
#define NGX_IOT_PSON1_BYTES         11
#define NGX_IOT_PSON1_EMPTY_BYTES   12
#define NGX_IOT_PSON1_OBJECT        13
#define NGX_IOT_PSON1_ARRAY         14
#define NGX_IOT_PSON1_EMPTY         15

#define NGX_IOT_PSON1_WIRE_64       1
#define NGX_IOT_PSON1_WIRE_LENGTH   2
#define NGX_IOT_PSON1_WIRE_32       5

/* version 2: type << 5 | number, or 31 and the number follows */

#define NGX_IOT_PSON2_UNSIGNED      0
#define NGX_IOT_PSON2_NEGATIVE      1
#define NGX_IOT_PSON2_FLOATING      2
#define NGX_IOT_PSON2_DISCRETE      3
#define NGX_IOT_PSON2_TEXT          4
#define NGX_IOT_PSON2_BYTES         5
#define NGX_IOT_PSON2_OBJECT        6
#define NGX_IOT_PSON2_ARRAY         7

#define NGX_IOT_PSON2_FOLLOWS       31

#define NGX_IOT_PSON2_FLOAT         0
#define NGX_IOT_PSON2_DOUBLE        1

#define NGX_IOT_PSON2_FALSE         0
#define NGX_IOT_PSON2_TRUE          1
#define NGX_IOT_PSON2_NULL          2


#endif /* _NGX_IOT_PSON_WIRE_H_INCLUDED_ */
