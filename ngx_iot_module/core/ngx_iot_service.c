
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_auth.h"
#include "ngx_iot_basic.h"
#include "ngx_iot_batch.h"
#include "ngx_iot_bus.h"
#include "ngx_iot_count.h"
#include "ngx_iot_db.h"
#include "ngx_iot_limit.h"
#include "ngx_iot_maintain.h"
#include "ngx_iot_password.h"
#include "ngx_iot_rates.h"
#include "ngx_iot_service.h"
#include "ngx_iot_settings.h"
#include "ngx_iot_slot.h"
#include "ngx_iot_usage.h"
#include "ngx_iot_zone.h"


ngx_iot_service_t  ngx_iot_services[] = {

    { "slot", ngx_iot_slot_init_process, ngx_iot_slot_exit_process },

    { "zone", ngx_iot_zone_init_process, NULL },

    { "bus", ngx_iot_bus_init_process, ngx_iot_bus_exit_process },

    { "db", ngx_iot_db_init_process, ngx_iot_db_exit_process },

    { "limit", ngx_iot_limit_init_process, NULL },

    { "count", ngx_iot_count_init_process, NULL },

    { "rates", ngx_iot_rates_init_process, NULL },

    { "usage", ngx_iot_usage_init_process, NULL },

    { "password", ngx_iot_password_init_process,
      ngx_iot_password_exit_process },

    { "auth", ngx_iot_auth_init_process, ngx_iot_auth_exit_process },

    { "basic", ngx_iot_basic_init_process, ngx_iot_basic_exit_process },

    { "settings", ngx_iot_settings_init_process,
      ngx_iot_settings_exit_process },

    { "batch", ngx_iot_batch_init_process, ngx_iot_batch_exit_process },

    { "maintain", ngx_iot_maintain_init_process,
      ngx_iot_maintain_exit_process },

    { NULL, NULL, NULL }
};
