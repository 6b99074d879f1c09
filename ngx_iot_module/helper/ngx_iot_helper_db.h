
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_HELPER_DB_H_INCLUDED_
#define _NGX_IOT_HELPER_DB_H_INCLUDED_


#include "ngx_iot_helper.h"


/*
 * The one connection of a helper.  Connecting does not block; queries do, for
 * NGX_IOT_HELPER_DB_TIMEOUT ms at most, and only while the connection is up.
 * Lost, it comes back by itself with growing pauses.
 */

#define NGX_IOT_HELPER_DB_TIMEOUT  10000


/* goes on with connecting, reads notifications (sets helper->notified) */
void ngx_iot_helper_db_process(ngx_iot_helper_t *helper);

/* what to wait for: descriptor (-1: nothing) and events of poll(2) */
int ngx_iot_helper_db_fd(ngx_iot_helper_t *helper, short *events);

/*
 * Rows, to be given to PQclear(); NULL: refused (logged), or the connection
 * is lost (helper->db_state tells).
 */
PGresult *ngx_iot_helper_query(ngx_iot_helper_t *helper, const char *sql,
    int n, const char *const *values);

/* the one text of one row, from the pool; NULL: as above, or SQL's NULL */
char *ngx_iot_helper_query_text(ngx_iot_helper_t *helper,
    ngx_iot_helper_pool_t *pool, const char *sql, int n,
    const char *const *values);

void ngx_iot_helper_db_close(ngx_iot_helper_t *helper);


#endif /* _NGX_IOT_HELPER_DB_H_INCLUDED_ */
