
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_tb.h"
#include "ngx_http_iot_tb_rpc.h"
#include "ngx_http_iot_tb_ws.h"


/*
 * The ThingsBoard dialect: who may call what.  A row names either the SQL
 * function that does the work, or a handler in C; with both, the handler works
 * on the body first and then goes on into the function.
 */


#define ANY   NGX_IOT_ANY_USER
#define CUS   NGX_IOT_CUSTOMER
#define NEW   NGX_IOT_ENROLL
#define PRE   NGX_IOT_SECOND
#define PUB   NGX_IOT_PUBLIC
#define SYS   NGX_IOT_SYSTEM
#define TEN   NGX_IOT_TENANT

#define BODY    NGX_HTTP_IOT_BODY
#define OPT     NGX_HTTP_IOT_OPT_BODY
#define RAW     NGX_HTTP_IOT_RAW_BODY
#define READ    NGX_HTTP_IOT_READ
#define STRING  NGX_HTTP_IOT_TEXT_BODY
#define STREAM  NGX_HTTP_IOT_STREAM
#define TEXT    NGX_HTTP_IOT_TEXT_ERRORS

#define ALL  NGX_HTTP_IOT_ANY_METHOD


#define ngx_http_iot_tb_row(method, pattern, who, function, handler, flags)   \
    { method, ngx_string(pattern), who, function, handler, flags,             \
      { ngx_null_string, 0 } }

#define ngx_http_iot_tb_sql(method, pattern, who, function, flags)            \
    ngx_http_iot_tb_row(NGX_HTTP_##method, "/api/" pattern, who,              \
                        "tb." function, NULL, flags)

#define ngx_http_iot_tb_c(method, pattern, who, handler, flags)               \
    ngx_http_iot_tb_row(NGX_HTTP_##method, "/api/" pattern, who, NULL,        \
                        ngx_http_iot_tb_##handler, flags)

#define ngx_http_iot_tb_both(method, pattern, who, function, handler, flags)  \
    ngx_http_iot_tb_row(NGX_HTTP_##method, "/api/" pattern, who,              \
                        "tb." function, ngx_http_iot_tb_##handler, flags)

/* known to the dialect, not served yet */
#define ngx_http_iot_tb_501(method, pattern, who)                             \
    ngx_http_iot_tb_row(method, "/api/" pattern, who, NULL,                   \
                        ngx_http_iot_tb_not_implemented, OPT)


ngx_http_iot_route_t  ngx_http_iot_tb_routes[] = {

    /* sessions and the caller */

    ngx_http_iot_tb_c(POST, "auth/login", PUB, login, RAW),
    ngx_http_iot_tb_row(ALL & ~NGX_HTTP_POST, "/api/auth/login", PUB, NULL,
                        ngx_http_iot_tb_login_method, 0),
    ngx_http_iot_tb_c(POST, "auth/login/public", PUB, login_public, RAW),
    ngx_http_iot_tb_c(POST, "auth/token", PUB, token, RAW),
    ngx_http_iot_tb_c(POST, "auth/logout", ANY, logout, OPT),
    ngx_http_iot_tb_c(POST, "auth/changePassword", ANY, change_password, BODY),
    ngx_http_iot_tb_sql(GET, "auth/user", ANY, "user_current", READ),
    ngx_http_iot_tb_sql(GET, "noauth/userPasswordPolicy", PUB,
                        "password_policy", READ),
    ngx_http_iot_tb_sql(GET, "noauth/activate", PUB, "activate_page", 0),
    ngx_http_iot_tb_both(POST, "noauth/activate", PUB, "activate", activate,
                         BODY),
    ngx_http_iot_tb_c(POST, "noauth/resetPasswordByEmail", PUB, forgotten,
                      BODY),
    ngx_http_iot_tb_sql(GET, "noauth/resetPassword", PUB, "reset_page", 0),
    ngx_http_iot_tb_both(POST, "noauth/resetPassword", PUB, "reset_password",
                         reset_password, BODY),

    /* second factors */

    ngx_http_iot_tb_sql(GET, "auth/2fa/providers", PRE, "second_providers",
                        0),
    ngx_http_iot_tb_sql(POST, "auth/2fa/verification/send", PRE,
                        "second_send", 0),
    ngx_http_iot_tb_c(POST, "auth/2fa/verification/check", PRE, second_check,
                      0),
    ngx_http_iot_tb_both(POST, "auth/2fa/login", NEW, "second_enrolled",
                         session, 0),
    ngx_http_iot_tb_sql(GET, "2fa/account/settings", ANY|NEW,
                        "second_account", 0),
    ngx_http_iot_tb_sql(POST, "2fa/account/config/generate", ANY|NEW,
                        "second_generate", 0),
    ngx_http_iot_tb_sql(POST, "2fa/account/config/submit", ANY|NEW,
                        "second_submit", BODY),
    ngx_http_iot_tb_both(POST, "2fa/account/config", ANY|NEW, "second_save",
                         second_save, BODY),
    ngx_http_iot_tb_sql(PUT, "2fa/account/config", ANY, "second_change",
                        BODY),
    ngx_http_iot_tb_sql(DELETE, "2fa/account/config", ANY, "second_delete",
                        0),
    ngx_http_iot_tb_sql(GET, "2fa/providers", ANY|NEW, "second_types", 0),
    ngx_http_iot_tb_sql(GET, "2fa/settings", SYS, "second_settings", 0),
    ngx_http_iot_tb_sql(POST, "2fa/settings", SYS, "second_settings_save",
                        BODY),

    /* tenants */

    ngx_http_iot_tb_sql(GET, "tenant/{id}", SYS|TEN, "tenant_get", READ),
    ngx_http_iot_tb_sql(GET, "tenant/info/{id}", SYS|TEN, "tenant_info_get",
                        READ),
    ngx_http_iot_tb_sql(POST, "tenant", SYS, "tenant_save", BODY),
    ngx_http_iot_tb_sql(DELETE, "tenant/{id}", SYS, "tenant_delete", 0),
    ngx_http_iot_tb_sql(GET, "tenants", SYS|TEN, "tenants", READ),
    ngx_http_iot_tb_sql(GET, "tenants/list", SYS|TEN, "tenants_list", READ),
    ngx_http_iot_tb_sql(GET, "tenantInfos", SYS, "tenant_infos", READ),

    /* tenant profiles */

    ngx_http_iot_tb_sql(GET, "tenantProfile/{id}", SYS, "tenant_profile_get",
                        READ),
    ngx_http_iot_tb_sql(GET, "tenantProfileInfo/{id}", SYS,
                        "tenant_profile_info_get", READ),
    ngx_http_iot_tb_sql(GET, "tenantProfileInfo/default", SYS,
                        "tenant_profile_info_default", READ),
    ngx_http_iot_tb_sql(POST, "tenantProfile", SYS, "tenant_profile_save",
                        BODY),
    ngx_http_iot_tb_sql(DELETE, "tenantProfile/{id}", SYS,
                        "tenant_profile_delete", 0),
    ngx_http_iot_tb_sql(POST, "tenantProfile/{id}/default", SYS,
                        "tenant_profile_set_default", 0),
    ngx_http_iot_tb_sql(GET, "tenantProfiles", SYS, "tenant_profiles", READ),
    ngx_http_iot_tb_sql(GET, "tenantProfiles/list", SYS,
                        "tenant_profiles_list", READ),
    ngx_http_iot_tb_sql(GET, "tenantProfileInfos", SYS, "tenant_profile_infos",
                        READ),
    ngx_http_iot_tb_sql(GET, "usage", TEN, "usage", READ),

    /* customers */

    ngx_http_iot_tb_sql(GET, "customer/{id}", TEN|CUS, "customer_get", READ),
    ngx_http_iot_tb_sql(GET, "customer/{id}/shortInfo", TEN|CUS,
                        "customer_short_info", READ),
    ngx_http_iot_tb_sql(GET, "customer/{id}/title", TEN|CUS, "customer_title",
                        READ),
    ngx_http_iot_tb_sql(POST, "customer", TEN|CUS, "customer_save", BODY),
    ngx_http_iot_tb_sql(DELETE, "customer/{id}", TEN|CUS, "customer_delete",
                        0),
    ngx_http_iot_tb_sql(GET, "customers", TEN|CUS, "customers", READ),
    ngx_http_iot_tb_sql(GET, "customers/list", TEN|CUS, "customers_list",
                        READ),
    ngx_http_iot_tb_sql(GET, "tenant/customers", TEN, "customer_by_title",
                        READ),

    /* users */

    ngx_http_iot_tb_both(POST, "user", ANY, "user_save", with_base, BODY),
    ngx_http_iot_tb_both(POST, "user/sendActivationMail", SYS|TEN,
                         "send_activation_mail", with_base, 0),
    ngx_http_iot_tb_both(GET, "user/{id}/activationLink", SYS|TEN,
                         "activation_link", with_base, 0),
    ngx_http_iot_tb_both(GET, "user/{id}/activationLinkInfo", SYS|TEN,
                         "activation_link_info", with_base, 0),
    ngx_http_iot_tb_sql(GET, "user/{id}", ANY, "user_get", READ),
    ngx_http_iot_tb_sql(GET, "user/tokenAccessEnabled", SYS|TEN,
                        "user_token_access_enabled", READ),
    ngx_http_iot_tb_both(GET, "user/{id}/token", SYS|TEN, "user_token",
                         session, 0),
    ngx_http_iot_tb_sql(GET, "user/settings", ANY, "user_settings", 0),
    ngx_http_iot_tb_sql(POST, "user/settings", ANY, "user_settings_save",
                        BODY),
    ngx_http_iot_tb_sql(PUT, "user/settings", ANY, "user_settings_merge",
                        BODY),
    ngx_http_iot_tb_sql(GET, "user/settings/{type}", ANY, "user_settings", 0),
    ngx_http_iot_tb_sql(PUT, "user/settings/{type}", ANY,
                        "user_settings_merge", BODY),
    ngx_http_iot_tb_sql(GET, "user/dashboards", TEN|CUS, "user_dashboards",
                        0),
    ngx_http_iot_tb_sql(GET, "user/lastVisitedDashboards", TEN|CUS,
                        "user_dashboards", 0),
    ngx_http_iot_tb_sql(GET, "user/dashboards/{id}/{action}", TEN|CUS,
                        "user_dashboard_note", 0),
    ngx_http_iot_tb_sql(DELETE, "user/settings/{paths}", ANY,
                        "user_settings_delete", 0),
    ngx_http_iot_tb_sql(DELETE, "user/settings/{type}/{paths}", ANY,
                        "user_settings_delete", 0),
    ngx_http_iot_tb_sql(POST, "user/{id}/userCredentialsEnabled", ANY,
                        "user_enable", 0),
    ngx_http_iot_tb_sql(DELETE, "user/{id}", ANY, "user_delete", 0),
    ngx_http_iot_tb_sql(GET, "users", TEN|CUS, "users", READ),
    ngx_http_iot_tb_sql(GET, "users/list", TEN|CUS, "users_list", READ),
    ngx_http_iot_tb_sql(GET, "users/info", TEN|CUS, "users_info", READ),
    ngx_http_iot_tb_sql(GET, "tenant/{id}/users", SYS, "tenant_users", READ),
    ngx_http_iot_tb_sql(GET, "customer/{id}/users", TEN|CUS, "customer_users",
                        READ),

    /* API keys */

    ngx_http_iot_tb_sql(POST, "apiKey", ANY, "api_key_create", BODY),
    ngx_http_iot_tb_sql(GET, "apiKeys/{userId}", ANY, "api_keys", READ),
    ngx_http_iot_tb_sql(PUT, "apiKey/{id}/description", ANY,
                        "api_key_describe", STRING),
    ngx_http_iot_tb_sql(PUT, "apiKey/{id}/enabled/{value}", ANY,
                        "api_key_enable", 0),
    ngx_http_iot_tb_sql(DELETE, "apiKey/{id}", ANY, "api_key_delete", 0),

    /* devices */

    ngx_http_iot_tb_sql(POST, "device", TEN|CUS, "device_save_told", BODY),
    ngx_http_iot_tb_both(POST, "device-with-credentials", TEN|CUS,
                         "device_with_credentials_told",
                         device_with_credentials, BODY),
    ngx_http_iot_tb_sql(GET, "device/{id}", TEN|CUS, "device_get", READ),
    ngx_http_iot_tb_sql(GET, "device/info/{id}", TEN|CUS, "device_info_get",
                        READ),
    ngx_http_iot_tb_sql(DELETE, "device/{id}", TEN|CUS, "device_delete", 0),
    ngx_http_iot_tb_sql(POST, "customer/{customerId}/device/{deviceId}", TEN,
                        "device_assign", 0),
    ngx_http_iot_tb_sql(DELETE, "customer/device/{deviceId}", TEN,
                        "device_unassign", 0),
    ngx_http_iot_tb_sql(POST, "customer/public/device/{deviceId}", TEN,
                        "device_assign_public", 0),
    ngx_http_iot_tb_sql(GET, "device/{id}/credentials", TEN|CUS,
                        "device_credentials_get", READ),
    ngx_http_iot_tb_both(POST, "device/credentials", TEN|CUS,
                         "device_credentials_save", credentials_save, BODY),
    ngx_http_iot_tb_sql(GET, "tenant/devices", TEN, "tenant_devices", READ),
    ngx_http_iot_tb_sql(GET, "tenant/device", TEN, "tenant_device_by_name",
                        READ),
    ngx_http_iot_tb_sql(GET, "tenant/deviceInfos", TEN, "tenant_device_infos",
                        READ),
    ngx_http_iot_tb_sql(GET, "customer/{id}/devices", TEN|CUS,
                        "customer_devices", READ),
    ngx_http_iot_tb_sql(GET, "customer/{id}/deviceInfos", TEN|CUS,
                        "customer_device_infos", READ),
    ngx_http_iot_tb_sql(GET, "devices", TEN|CUS, "devices_list", READ),
    ngx_http_iot_tb_sql(GET, "devices/list", TEN|CUS, "devices_list", READ),
    ngx_http_iot_tb_sql(POST, "devices", TEN|CUS, "devices_find", BODY),
    ngx_http_iot_tb_sql(POST, "device/bulk_import", TEN, "device_bulk_import",
                        BODY),
    ngx_http_iot_tb_sql(POST, "asset/bulk_import", TEN, "asset_bulk_import",
                        BODY),
    ngx_http_iot_tb_sql(GET, "device/types", TEN|CUS, "device_types", READ),
    ngx_http_iot_tb_sql(POST, "tenant/{tenantId}/device/{deviceId}", TEN,
                        "device_move", 0),
    ngx_http_iot_tb_sql(GET, "devices/count/{type}/{deviceProfileId}", TEN|CUS,
                        "device_count", READ),
    ngx_http_iot_tb_sql(GET, "device-connectivity/{id}", TEN|CUS,
                        "device_connectivity", READ),

    ngx_http_iot_tb_sql(POST, "customer/device/{name}/claim", CUS,
                        "device_claim", OPT),
    ngx_http_iot_tb_sql(DELETE, "customer/device/{name}/claim", TEN|CUS,
                        "device_reclaim", 0),

    /* firmware and software */

    ngx_http_iot_tb_sql(POST, "otaPackage", TEN, "ota_save", BODY),
    ngx_http_iot_tb_c(POST, "otaPackage/{id}", TEN, ota_upload, RAW),
    ngx_http_iot_tb_sql(GET, "otaPackage/{id}", TEN, "ota_info_get", READ),
    ngx_http_iot_tb_sql(GET, "otaPackage/info/{id}", TEN|CUS, "ota_info_get",
                        READ),
    ngx_http_iot_tb_both(GET, "otaPackage/{id}/download", TEN, "ota_download",
                         ota_download, READ),
    ngx_http_iot_tb_sql(DELETE, "otaPackage/{id}", TEN, "ota_delete", 0),
    ngx_http_iot_tb_sql(GET, "otaPackages", TEN|CUS, "ota_list", READ),
    ngx_http_iot_tb_sql(GET, "otaPackages/{deviceProfileId}/{type}", TEN|CUS,
                        "ota_list", READ),

    /* device profiles */

    ngx_http_iot_tb_sql(GET, "deviceProfile/{id}", TEN, "device_profile_get",
                        READ),
    ngx_http_iot_tb_both(POST, "deviceProfile", TEN,
                         "device_profile_save_told", device_profile_save,
                         BODY),
    ngx_http_iot_tb_sql(DELETE, "deviceProfile/{id}", TEN,
                        "device_profile_delete", 0),
    ngx_http_iot_tb_sql(POST, "deviceProfile/{id}/default", TEN,
                        "device_profile_set_default", 0),
    ngx_http_iot_tb_sql(GET, "deviceProfileInfo/{id}", TEN|CUS,
                        "device_profile_info_get", READ),
    ngx_http_iot_tb_sql(GET, "deviceProfileInfo/default", TEN|CUS,
                        "device_profile_info_default", READ),
    ngx_http_iot_tb_sql(GET, "deviceProfiles", TEN, "device_profiles", READ),
    ngx_http_iot_tb_sql(GET, "deviceProfileInfos", TEN|CUS,
                        "device_profile_infos", READ),
    ngx_http_iot_tb_sql(GET, "deviceProfileInfos/list", TEN,
                        "device_profile_infos_list", READ),
    ngx_http_iot_tb_sql(GET, "deviceProfile/names", TEN|CUS,
                        "device_profile_names", READ),
    ngx_http_iot_tb_sql(GET, "deviceProfile/devices/keys/timeseries", TEN,
                        "profile_timeseries_keys", READ),
    ngx_http_iot_tb_sql(GET, "deviceProfile/devices/keys/attributes", TEN,
                        "profile_attribute_keys", READ),

    /* assets */

    ngx_http_iot_tb_sql(POST, "asset", TEN|CUS, "asset_save", BODY),
    ngx_http_iot_tb_sql(GET, "asset/{id}", TEN|CUS, "asset_get", READ),
    ngx_http_iot_tb_sql(GET, "asset/info/{id}", TEN|CUS, "asset_info_get",
                        READ),
    ngx_http_iot_tb_sql(DELETE, "asset/{id}", TEN|CUS, "asset_delete", 0),
    ngx_http_iot_tb_sql(POST, "customer/{customerId}/asset/{id}", TEN|CUS,
                        "asset_assign", 0),
    ngx_http_iot_tb_sql(DELETE, "customer/asset/{id}", TEN|CUS,
                        "asset_unassign", 0),
    ngx_http_iot_tb_sql(POST, "customer/public/asset/{id}", TEN|CUS,
                        "asset_assign_public", 0),
    ngx_http_iot_tb_sql(GET, "tenant/assets", TEN|CUS, "tenant_assets", READ),
    ngx_http_iot_tb_sql(GET, "tenant/asset", TEN|CUS, "tenant_asset_by_name",
                        READ),
    ngx_http_iot_tb_sql(GET, "tenant/assetInfos", TEN|CUS,
                        "tenant_asset_infos", READ),
    ngx_http_iot_tb_sql(GET, "customer/{id}/assets", TEN|CUS,
                        "customer_assets", READ),
    ngx_http_iot_tb_sql(GET, "customer/{id}/assetInfos", TEN|CUS,
                        "customer_asset_infos", READ),
    ngx_http_iot_tb_sql(GET, "assets", TEN|CUS, "assets_list", READ),
    ngx_http_iot_tb_sql(GET, "assets/list", TEN|CUS, "assets_list", READ),
    ngx_http_iot_tb_sql(POST, "assets", TEN|CUS, "assets_find", BODY),
    ngx_http_iot_tb_sql(GET, "asset/types", TEN|CUS, "asset_types", READ),
    ngx_http_iot_tb_sql(POST, "tenant/{tenantId}/asset/{assetId}", TEN,
                        "asset_move", 0),

    /* asset profiles */

    ngx_http_iot_tb_sql(GET, "assetProfile/{id}", TEN, "asset_profile_get",
                        READ),
    ngx_http_iot_tb_sql(POST, "assetProfile", TEN, "asset_profile_save", BODY),
    ngx_http_iot_tb_sql(DELETE, "assetProfile/{id}", TEN,
                        "asset_profile_delete", 0),
    ngx_http_iot_tb_sql(POST, "assetProfile/{id}/default", TEN,
                        "asset_profile_set_default", 0),
    ngx_http_iot_tb_sql(GET, "assetProfileInfo/{id}", TEN|CUS,
                        "asset_profile_info_get", READ),
    ngx_http_iot_tb_sql(GET, "assetProfileInfo/default", TEN|CUS,
                        "asset_profile_info_default", READ),
    ngx_http_iot_tb_sql(GET, "assetProfiles", TEN, "asset_profiles", READ),
    ngx_http_iot_tb_sql(GET, "assetProfileInfos", TEN|CUS,
                        "asset_profile_infos", READ),
    ngx_http_iot_tb_sql(GET, "assetProfileInfos/list", TEN,
                        "asset_profile_infos_list", READ),
    ngx_http_iot_tb_sql(GET, "assetProfile/names", TEN|CUS,
                        "asset_profile_names", READ),

    /* entity views */

    ngx_http_iot_tb_sql(POST, "entityView", TEN|CUS, "entity_view_save", BODY),
    ngx_http_iot_tb_sql(GET, "entityView/{id}", TEN|CUS, "entity_view_get",
                        READ),
    ngx_http_iot_tb_sql(GET, "entityView/info/{id}", TEN|CUS,
                        "entity_view_info_get", READ),
    ngx_http_iot_tb_sql(DELETE, "entityView/{id}", TEN|CUS,
                        "entity_view_delete", 0),
    ngx_http_iot_tb_sql(POST, "customer/{customerId}/entityView/{id}", TEN|CUS,
                        "entity_view_assign", 0),
    ngx_http_iot_tb_sql(DELETE, "customer/entityView/{id}", TEN|CUS,
                        "entity_view_unassign", 0),
    ngx_http_iot_tb_sql(POST, "customer/public/entityView/{id}", TEN|CUS,
                        "entity_view_assign_public", 0),
    ngx_http_iot_tb_sql(GET, "tenant/entityViews", TEN|CUS,
                        "tenant_entity_views", READ),
    ngx_http_iot_tb_sql(GET, "tenant/entityView", TEN|CUS,
                        "tenant_entity_view_by_name", READ),
    ngx_http_iot_tb_sql(GET, "tenant/entityViewInfos", TEN|CUS,
                        "tenant_entity_view_infos", READ),
    ngx_http_iot_tb_sql(GET, "customer/{id}/entityViews", TEN|CUS,
                        "customer_entity_views", READ),
    ngx_http_iot_tb_sql(GET, "customer/{id}/entityViewInfos", TEN|CUS,
                        "customer_entity_view_infos", READ),
    ngx_http_iot_tb_sql(GET, "entityViews", TEN|CUS, "entity_views_list",
                        READ),
    ngx_http_iot_tb_sql(GET, "entityViews/list", TEN|CUS, "entity_views_list",
                        READ),
    ngx_http_iot_tb_sql(POST, "entityViews", TEN|CUS, "entity_views_find",
                        BODY),
    ngx_http_iot_tb_sql(GET, "entityView/types", TEN|CUS, "entity_view_types",
                        READ),

    /* dashboards */

    ngx_http_iot_tb_sql(GET, "dashboard/{id}", TEN|CUS, "dashboard_get", READ),
    ngx_http_iot_tb_sql(GET, "dashboard/info/{id}", TEN|CUS,
                        "dashboard_info_get", READ),
    ngx_http_iot_tb_sql(POST, "dashboard", TEN|CUS, "dashboard_save", BODY),
    ngx_http_iot_tb_sql(DELETE, "dashboard/{id}", TEN|CUS, "dashboard_delete",
                        0),
    ngx_http_iot_tb_sql(POST, "customer/{customerId}/dashboard/{id}", TEN|CUS,
                        "dashboard_assign", 0),
    ngx_http_iot_tb_sql(DELETE, "customer/{customerId}/dashboard/{id}",
                        TEN|CUS, "dashboard_unassign", 0),
    ngx_http_iot_tb_sql(POST, "customer/public/dashboard/{id}", TEN|CUS,
                        "dashboard_assign_public", 0),
    ngx_http_iot_tb_sql(DELETE, "customer/public/dashboard/{id}", TEN|CUS,
                        "dashboard_unassign_public", 0),
    ngx_http_iot_tb_sql(POST, "dashboard/{id}/customers", TEN|CUS,
                        "dashboard_customers_set", OPT),
    ngx_http_iot_tb_sql(POST, "dashboard/{id}/customers/add", TEN|CUS,
                        "dashboard_customers_add", OPT),
    ngx_http_iot_tb_sql(POST, "dashboard/{id}/customers/remove", TEN|CUS,
                        "dashboard_customers_remove", OPT),
    ngx_http_iot_tb_sql(GET, "tenant/dashboards", TEN, "tenant_dashboards",
                        READ),
    ngx_http_iot_tb_sql(GET, "tenant/{id}/dashboards", SYS,
                        "dashboards_of_tenant", READ),
    ngx_http_iot_tb_sql(GET, "customer/{id}/dashboards", TEN|CUS,
                        "customer_dashboards", READ),
    ngx_http_iot_tb_sql(GET, "dashboards", TEN|CUS, "dashboards_list", READ),
    ngx_http_iot_tb_sql(GET, "dashboards/list", TEN|CUS, "dashboards_list",
                        READ),
    ngx_http_iot_tb_sql(GET, "dashboard/home", ANY, "dashboard_home", READ),
    ngx_http_iot_tb_sql(GET, "dashboard/home/info", ANY, "dashboard_home_info",
                        READ),
    ngx_http_iot_tb_sql(GET, "tenant/dashboard/home/info", TEN, "tenant_home",
                        READ),
    ngx_http_iot_tb_sql(POST, "tenant/dashboard/home/info", TEN,
                        "tenant_home_save", BODY),

    /* relations */

    ngx_http_iot_tb_sql(POST, "relation", ANY, "relation_save", BODY),
    ngx_http_iot_tb_sql(POST, "v2/relation", ANY, "relation_save_v2", BODY),
    ngx_http_iot_tb_sql(DELETE, "relation", ANY, "relation_delete", 0),
    ngx_http_iot_tb_sql(DELETE, "v2/relation", ANY, "relation_delete_v2", 0),
    ngx_http_iot_tb_sql(GET, "relation", ANY, "relation_get", READ),
    ngx_http_iot_tb_sql(DELETE, "relations", ANY, "relations_delete", 0),
    ngx_http_iot_tb_sql(GET, "relations", ANY, "relations", READ),
    ngx_http_iot_tb_sql(GET, "relations/from/{type}/{id}", ANY,
                        "relations_from", READ),
    ngx_http_iot_tb_sql(GET, "relations/from/{type}/{id}/{relationType}", ANY,
                        "relations_from", READ),
    ngx_http_iot_tb_sql(GET, "relations/to/{type}/{id}", ANY, "relations_to",
                        READ),
    ngx_http_iot_tb_sql(GET, "relations/to/{type}/{id}/{relationType}", ANY,
                        "relations_to", READ),
    ngx_http_iot_tb_sql(GET, "relations/info", ANY, "relations_info", READ),
    ngx_http_iot_tb_sql(GET, "relations/info/from/{type}/{id}", ANY,
                        "relations_info_from", READ),
    ngx_http_iot_tb_sql(GET, "relations/info/to/{type}/{id}", ANY,
                        "relations_info_to", READ),
    ngx_http_iot_tb_sql(POST, "relations", ANY, "relations_find", BODY),
    ngx_http_iot_tb_sql(POST, "relations/info", ANY, "relations_info_find",
                        BODY),

    /* telemetry and attributes */

    ngx_http_iot_tb_sql(GET, "plugins/telemetry/{type}/{id}/keys/attributes",
                        ANY, "attribute_keys", READ|TEXT),
    ngx_http_iot_tb_sql(GET,
                        "plugins/telemetry/{type}/{id}/keys/attributes/{scope}",
                        ANY, "attribute_keys_scope", READ|TEXT),
    ngx_http_iot_tb_sql(GET, "plugins/telemetry/{type}/{id}/values/attributes",
                        ANY, "attribute_values", READ|TEXT),
    ngx_http_iot_tb_sql(GET,
        "plugins/telemetry/{type}/{id}/values/attributes/{scope}", ANY,
        "attribute_values_scope", READ|TEXT),
    ngx_http_iot_tb_sql(GET, "plugins/telemetry/{type}/{id}/keys/timeseries",
                        ANY, "timeseries_keys", READ|TEXT),
    ngx_http_iot_tb_sql(GET, "plugins/telemetry/{type}/{id}/values/timeseries",
                        ANY, "timeseries_values", READ|STREAM|TEXT),
    ngx_http_iot_tb_sql(GET,
        "plugins/telemetry/{type}/{id}/values/timeseries/history", ANY,
        "timeseries_history", READ|STREAM|TEXT),
    ngx_http_iot_tb_both(POST, "plugins/telemetry/{deviceId}/{scope}", ANY,
                         "attributes_save_device", attributes_save_device,
                         RAW|TEXT),
    ngx_http_iot_tb_both(POST, "plugins/telemetry/{type}/{id}/{scope}", ANY,
                         "attributes_save", attributes_save, RAW|TEXT),
    ngx_http_iot_tb_both(POST,
                         "plugins/telemetry/{type}/{id}/attributes/{scope}",
                         ANY, "attributes_save", attributes_save, RAW|TEXT),
    ngx_http_iot_tb_both(POST,
                         "plugins/telemetry/{type}/{id}/timeseries/{scope}",
                         ANY, "timeseries_save", timeseries_save, RAW|TEXT),
    ngx_http_iot_tb_both(POST,
        "plugins/telemetry/{type}/{id}/timeseries/{scope}/{ttl}", ANY,
        "timeseries_save_ttl", timeseries_save_ttl, RAW|TEXT),
    ngx_http_iot_tb_sql(DELETE,
                        "plugins/telemetry/{type}/{id}/timeseries/delete", ANY,
                        "timeseries_delete", TEXT),
    ngx_http_iot_tb_sql(DELETE, "plugins/telemetry/{deviceId}/{scope}", ANY,
                        "attributes_delete_device", TEXT),
    ngx_http_iot_tb_sql(DELETE, "plugins/telemetry/{type}/{id}/{scope}", ANY,
                        "attributes_delete", TEXT),

    /* alarms */

    ngx_http_iot_tb_sql(POST, "alarm", TEN|CUS, "alarm_save", BODY),
    ngx_http_iot_tb_sql(GET, "alarm/{id}", TEN|CUS, "alarm_get", READ),
    ngx_http_iot_tb_sql(GET, "alarm/info/{id}", TEN|CUS, "alarm_info_get",
                        READ),
    ngx_http_iot_tb_sql(DELETE, "alarm/{id}", TEN|CUS, "alarm_delete", 0),
    ngx_http_iot_tb_sql(POST, "alarm/{id}/ack", TEN|CUS, "alarm_ack", 0),
    ngx_http_iot_tb_sql(POST, "alarm/{id}/clear", TEN|CUS, "alarm_clear", 0),
    ngx_http_iot_tb_sql(POST, "alarm/{id}/assign/{userId}", TEN|CUS,
                        "alarm_assign", 0),
    ngx_http_iot_tb_sql(DELETE, "alarm/{id}/assign", TEN|CUS,
                        "alarm_unassign", 0),
    ngx_http_iot_tb_sql(GET, "alarm/{type}/{id}", ANY, "alarms_of_entity",
                        READ),
    ngx_http_iot_tb_sql(GET, "alarms", TEN|CUS, "alarms", READ),
    ngx_http_iot_tb_sql(GET, "v2/alarm/{type}/{id}", ANY, "alarms_of_entity",
                        READ),
    ngx_http_iot_tb_sql(GET, "v2/alarms", TEN|CUS, "alarms", READ),
    ngx_http_iot_tb_sql(GET, "alarm/highestSeverity/{type}/{id}", TEN|CUS,
                        "alarm_highest_severity", READ),
    ngx_http_iot_tb_sql(GET, "alarm/types", TEN|CUS, "alarm_types", READ),
    ngx_http_iot_tb_sql(GET, "users/assign/{alarmId}", TEN|CUS,
                        "users_assign", READ),
    ngx_http_iot_tb_sql(POST, "alarm/{id}/comment", TEN|CUS,
                        "alarm_comment_save", BODY),
    ngx_http_iot_tb_sql(GET, "alarm/{id}/comment", TEN|CUS, "alarm_comments",
                        READ),
    ngx_http_iot_tb_sql(DELETE, "alarm/{id}/comment/{commentId}", TEN|CUS,
                        "alarm_comment_delete", 0),

    /* queries */

    ngx_http_iot_tb_sql(POST, "entitiesQuery/find", ANY, "entities_find",
                        BODY|READ),
    ngx_http_iot_tb_sql(POST, "entitiesQuery/count", ANY, "entities_count",
                        BODY|READ),
    ngx_http_iot_tb_sql(POST, "entitiesQuery/find/keys", ANY, "entities_keys",
                        BODY|READ),
    ngx_http_iot_tb_sql(POST, "alarmsQuery/find", TEN|CUS, "alarms_find",
                        BODY|READ),
    ngx_http_iot_tb_sql(POST, "alarmsQuery/count", TEN|CUS, "alarms_count",
                        BODY|READ),

    /* requests to devices */

    ngx_http_iot_tb_c(POST, "rpc/oneway/{deviceId}", ANY, rpc_oneway,
                      RAW|TEXT),
    ngx_http_iot_tb_c(POST, "rpc/twoway/{deviceId}", ANY, rpc_twoway,
                      RAW|TEXT),
    ngx_http_iot_tb_c(POST, "plugins/rpc/oneway/{deviceId}", ANY,
                      rpc_oneway_v1, RAW|TEXT),
    ngx_http_iot_tb_c(POST, "plugins/rpc/twoway/{deviceId}", ANY,
                      rpc_twoway_v1, RAW|TEXT),
    ngx_http_iot_tb_sql(GET, "rpc/persistent/{rpcId}", TEN|CUS, "rpc_get", 0),
    ngx_http_iot_tb_sql(DELETE, "rpc/persistent/{rpcId}", TEN, "rpc_delete",
                        0),
    ngx_http_iot_tb_sql(GET, "rpc/persistent/device/{deviceId}", TEN|CUS,
                        "rpc_list", 0),

    /* subscriptions */

    ngx_http_iot_tb_c(GET, "ws", PUB, ws, 0),
    ngx_http_iot_tb_c(GET, "ws/plugins/telemetry", PUB, ws, 0),
    ngx_http_iot_tb_c(GET, "ws/plugins/notifications", PUB, ws, 0),

    /* what the helpers do */

    ngx_http_iot_tb_sql(GET, "jobs", SYS|TEN, "jobs", READ),
    ngx_http_iot_tb_sql(GET, "job/{id}", SYS|TEN, "job_get", READ),
    ngx_http_iot_tb_sql(POST, "job/{id}/retry", SYS|TEN, "job_retry", 0),

    /* settings, audit log, what clients ask for at their start */

    ngx_http_iot_tb_sql(GET, "settings", SYS|TEN, "settings", READ),
    ngx_http_iot_tb_sql(GET, "settings/{name}", SYS|TEN, "setting_get", READ),
    ngx_http_iot_tb_both(PUT, "settings/{name}", SYS|TEN, "setting_put",
                         setting_put, BODY),
    ngx_http_iot_tb_sql(DELETE, "settings/{name}", SYS|TEN, "setting_delete",
                        0),

    ngx_http_iot_tb_sql(GET, "admin/settings/{key}", SYS, "admin_settings_get",
                        READ),
    ngx_http_iot_tb_both(POST, "admin/settings", SYS, "admin_settings_save",
                         mail_settings, BODY),
    ngx_http_iot_tb_both(POST, "admin/settings/testMail", SYS,
                         "admin_settings_test", mail_settings, BODY),
    ngx_http_iot_tb_sql(GET, "admin/securitySettings", SYS,
                        "security_settings_get", READ),
    ngx_http_iot_tb_sql(POST, "admin/securitySettings", SYS,
                        "security_settings_save", BODY),
    ngx_http_iot_tb_sql(GET, "admin/jwtSettings", SYS, "jwt_settings_get",
                        READ),
    ngx_http_iot_tb_both(POST, "admin/jwtSettings", SYS, "jwt_settings_save",
                         jwt_settings, BODY),
    ngx_http_iot_tb_sql(GET, "audit/logs", SYS|TEN, "audit_logs", READ),
    ngx_http_iot_tb_sql(GET, "audit/logs/customer/{id}", TEN,
                        "audit_logs_customer", READ),
    ngx_http_iot_tb_sql(GET, "audit/logs/user/{id}", TEN, "audit_logs_user",
                        READ),
    ngx_http_iot_tb_sql(GET, "audit/logs/entity/{type}/{id}", SYS|TEN,
                        "audit_logs_entity", READ),
    ngx_http_iot_tb_sql(GET, "system/params", ANY, "system_params", READ),
    ngx_http_iot_tb_sql(GET, "system/info", ANY, "system_info", READ),
    ngx_http_iot_tb_sql(GET, "uiSettings/helpBaseUrl", ANY, "help_base_url",
                        READ),
    ngx_http_iot_tb_sql(GET, "dashboard/serverTime", ANY, "server_time", READ),
    ngx_http_iot_tb_sql(GET, "dashboard/maxDatapointsLimit", ANY,
                        "max_datapoints", READ),

    /* groups, roles, owners, and all that the caller may see */

    ngx_http_iot_tb_sql(POST, "entityGroup", TEN|CUS, "group_save", BODY),
    ngx_http_iot_tb_sql(GET, "entityGroup/{id}", TEN|CUS, "group_get", READ),
    ngx_http_iot_tb_sql(DELETE, "entityGroup/{id}", TEN|CUS, "group_delete", 0),
    ngx_http_iot_tb_sql(GET, "entityGroups/{type}", TEN|CUS,
                        "groups_by_type", 0),
    ngx_http_iot_tb_sql(GET, "entityGroups/{ownerType}/{ownerId}/{type}",
                        TEN|CUS, "groups_by_owner", 0),
    ngx_http_iot_tb_sql(GET, "entityGroups/{entityType}/{entityId}", TEN|CUS,
                        "groups_of_entity", 0),
    ngx_http_iot_tb_sql(GET, "entityGroup/{ownerType}/{ownerId}/{type}/{name}",
                        TEN|CUS, "group_by_name", 0),
    ngx_http_iot_tb_sql(GET, "entityGroupInfos/{type}", TEN|CUS,
                        "group_infos", 0),
    ngx_http_iot_tb_sql(POST, "entityGroup/{id}/addEntities", TEN|CUS,
                        "group_add", BODY),
    ngx_http_iot_tb_sql(POST, "entityGroup/{id}/deleteEntities", TEN|CUS,
                        "group_remove", BODY),
    ngx_http_iot_tb_sql(GET, "entityGroup/{id}/entities", TEN|CUS,
                        "group_entities", READ),
    ngx_http_iot_tb_sql(GET, "entityGroup/{id}/devices", TEN|CUS,
                        "group_devices", READ),
    ngx_http_iot_tb_sql(GET, "entityGroup/{id}/users", TEN|CUS,
                        "group_users", READ),
    ngx_http_iot_tb_sql(GET, "entityGroup/{id}/customers", TEN|CUS,
                        "group_customers", READ),
    ngx_http_iot_tb_sql(POST, "entityGroup/{id}/makePublic", TEN,
                        "group_make_public", 0),
    ngx_http_iot_tb_sql(POST, "entityGroup/{id}/makePrivate", TEN,
                        "group_make_private", 0),
    ngx_http_iot_tb_sql(POST, "entityGroup/{id}/share", TEN|CUS,
                        "group_share", BODY),
    ngx_http_iot_tb_sql(POST, "entityGroup/{id}/{userGroupId}/{roleId}/share",
                        TEN|CUS, "group_share_role", 0),
    ngx_http_iot_tb_sql(POST, "role", TEN|CUS, "role_save", BODY),
    ngx_http_iot_tb_sql(GET, "role/{id}", TEN|CUS, "role_get", READ),
    ngx_http_iot_tb_sql(DELETE, "role/{id}", TEN|CUS, "role_delete", 0),
    ngx_http_iot_tb_sql(GET, "roles", TEN|CUS, "roles", READ),
    ngx_http_iot_tb_sql(GET, "roles/list", TEN|CUS, "roles_list", READ),
    ngx_http_iot_tb_sql(POST, "groupPermission", TEN|CUS,
                        "permission_save", BODY),
    ngx_http_iot_tb_sql(GET, "groupPermission/{id}", TEN|CUS,
                        "permission_get", READ),
    ngx_http_iot_tb_sql(DELETE, "groupPermission/{id}", TEN|CUS,
                        "permission_delete", 0),
    ngx_http_iot_tb_sql(GET, "userGroup/{id}/groupPermissions", TEN|CUS,
                        "user_group_permissions", READ),
    ngx_http_iot_tb_sql(GET, "entityGroup/{id}/groupPermissions", TEN|CUS,
                        "entity_group_permissions", READ),
    ngx_http_iot_tb_sql(GET, "permissions/allowedPermissions", ANY,
                        "allowed_permissions", READ),
    ngx_http_iot_tb_sql(POST,
        "owner/{ownerType}/{ownerId}/{entityType}/{entityId}", TEN|CUS,
        "owner_change", OPT),
    ngx_http_iot_tb_sql(GET, "user/devices", TEN|CUS, "user_devices", READ),
    ngx_http_iot_tb_sql(GET, "user/customers", TEN|CUS, "user_customers", READ),
    ngx_http_iot_tb_sql(GET, "user/users", TEN|CUS, "user_users", READ),
    ngx_http_iot_tb_sql(GET, "deviceInfos/all", TEN|CUS,
                        "device_infos_all", READ),
    ngx_http_iot_tb_sql(GET, "customerInfos/all", TEN|CUS,
                        "customer_infos_all", READ),
    ngx_http_iot_tb_sql(GET, "userInfos/all", TEN|CUS, "user_infos_all", READ),

    /* not yet */

    ngx_http_iot_tb_501(ALL, "noauth/*", PUB),
    ngx_http_iot_tb_501(NGX_HTTP_GET, "admin/featuresInfo", SYS),
    ngx_http_iot_tb_501(NGX_HTTP_GET, "admin/systemInfo", SYS),
    ngx_http_iot_tb_501(NGX_HTTP_GET, "admin/updates", SYS),
    ngx_http_iot_tb_501(ALL, "rule-engine/*", ANY),
    ngx_http_iot_tb_501(ALL, "edqs/*", ANY),
    ngx_http_iot_tb_501(ALL, "ruleChain/*", ANY),
    ngx_http_iot_tb_501(ALL, "ruleChains/*", ANY),
    ngx_http_iot_tb_501(ALL, "resource/*", ANY),
    ngx_http_iot_tb_501(ALL, "widgetsBundle/*", ANY),
    ngx_http_iot_tb_501(ALL, "widgetsBundles/*", ANY),
    ngx_http_iot_tb_501(ALL, "widgetType/*", ANY),
    ngx_http_iot_tb_501(ALL, "widgetTypes/*", ANY),
    ngx_http_iot_tb_501(ALL, "edges/*", ANY),
    ngx_http_iot_tb_501(ALL, "notification/*", ANY),
    ngx_http_iot_tb_501(ALL, "notifications/*", ANY),
    ngx_http_iot_tb_501(ALL, "queues/*", ANY),
    ngx_http_iot_tb_501(ALL, "selfRegistration/*", ANY),
    ngx_http_iot_tb_501(ALL, "signup/*", ANY),
    ngx_http_iot_tb_501(ALL, "whiteLabel/*", ANY),

    ngx_http_iot_null_route
};
