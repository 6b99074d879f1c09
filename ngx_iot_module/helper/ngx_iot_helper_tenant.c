
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_helper_db.h"
#include "ngx_iot_helper_job.h"


static ngx_int_t ngx_iot_helper_tenant_start(ngx_iot_helper_job_t *job);
static ngx_int_t ngx_iot_helper_tenant_step(ngx_iot_helper_job_t *job);


/*
 * What a deleted tenant leaves behind, a slice at a time, so that the other
 * jobs go on in between.  payload: tenant.
 */

const ngx_iot_helper_kind_t  ngx_iot_helper_tenant_kind = {
    "tenant_delete",
    ngx_iot_helper_tenant_start,
    ngx_iot_helper_tenant_step,
    NULL
};


static ngx_int_t
ngx_iot_helper_tenant_start(ngx_iot_helper_job_t *job)
{
    if (ngx_iot_helper_arg(job, "tenant") == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED, "there is no tenant");
        return NGX_OK;
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_iot_helper_tenant_step(ngx_iot_helper_job_t *job)
{
    char                   *left;
    const char             *values[1];
    ngx_int_t               rc;
    ngx_iot_helper_pool_t   pool;

    pool.chunks = NULL;
    values[0] = ngx_iot_helper_arg(job, "tenant");

    left = ngx_iot_helper_query_text(job->helper, &pool,
                                     "SELECT iot.tenant_delete_slice($1)", 1,
                                     values);

    if (left == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY,
                           "the database refused a slice");
        rc = NGX_OK;

    } else if (left[0] == 't') {
        rc = NGX_AGAIN;

    } else {
        job->outcome = NGX_IOT_HELPER_DONE;
        rc = NGX_OK;
    }

    ngx_iot_helper_pool_free(&pool);

    return rc;
}
