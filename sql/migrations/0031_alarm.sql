
--
-- Copyright (C) the ngx_iot authors
--
-- Alarms: what is wrong with an entity (the originator), at most one active
-- alarm of a type for each.  customer_id is the customer of the originator,
-- kept by triggers, for the lists of its users.


CREATE TABLE iot.alarm (
    tenant_id          uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    id                 uuid NOT NULL DEFAULT iot.new_id(),
    created_time       bigint NOT NULL DEFAULT iot.now_ms(),
    customer_id        uuid,
    originator_type    text NOT NULL,
    originator_id      uuid NOT NULL,
    originator_nr      integer NOT NULL,
    type               text NOT NULL,
    severity           text NOT NULL
                       CHECK (severity IN ('CRITICAL', 'MAJOR', 'MINOR',
                                           'WARNING', 'INDETERMINATE')),
    acknowledged       boolean NOT NULL DEFAULT false,
    cleared            boolean NOT NULL DEFAULT false,
    assignee_id        uuid REFERENCES iot.users ON DELETE SET NULL,
    start_ts           bigint NOT NULL,
    end_ts             bigint NOT NULL,
    ack_ts             bigint NOT NULL DEFAULT 0,
    clear_ts           bigint NOT NULL DEFAULT 0,
    assign_ts          bigint NOT NULL DEFAULT 0,
    details            json,
    propagate          boolean NOT NULL DEFAULT false,
    propagate_owner    boolean NOT NULL DEFAULT false,
    propagate_tenant   boolean NOT NULL DEFAULT false,
    propagate_types    text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, id)
);

CREATE UNIQUE INDEX alarm_active
    ON iot.alarm (tenant_id, originator_id, type) WHERE NOT cleared;
CREATE INDEX alarm_by_time ON iot.alarm (tenant_id, created_time, id);
CREATE INDEX alarm_by_customer
    ON iot.alarm (tenant_id, customer_id, created_time)
    WHERE customer_id IS NOT NULL;
CREATE INDEX alarm_by_type ON iot.alarm (tenant_id, type, created_time);
CREATE INDEX alarm_by_assignee ON iot.alarm (assignee_id, created_time)
    WHERE assignee_id IS NOT NULL;
CREATE INDEX alarm_by_originator ON iot.alarm (originator_nr);
CREATE INDEX alarm_by_end ON iot.alarm (tenant_id, end_ts);


-- Who shows an alarm: its originator and those it propagates to.

CREATE TABLE iot.alarm_entity (
    tenant_id     uuid NOT NULL,
    entity_id     uuid NOT NULL,
    alarm_id      uuid NOT NULL,
    entity_type   text NOT NULL,
    created_time  bigint NOT NULL,
    PRIMARY KEY (tenant_id, entity_id, alarm_id),
    FOREIGN KEY (tenant_id, alarm_id) REFERENCES iot.alarm ON DELETE CASCADE
);

CREATE INDEX alarm_entity_by_alarm ON iot.alarm_entity (tenant_id, alarm_id);
CREATE INDEX alarm_entity_by_time
    ON iot.alarm_entity (tenant_id, entity_id, created_time);


CREATE TABLE iot.alarm_comment (
    tenant_id     uuid NOT NULL,
    alarm_id      uuid NOT NULL,
    id            uuid NOT NULL DEFAULT iot.new_id(),
    created_time  bigint NOT NULL DEFAULT iot.now_ms(),
    user_id       uuid REFERENCES iot.users ON DELETE SET NULL,
    type          text NOT NULL CHECK (type IN ('OTHER', 'SYSTEM')),
    comment       json NOT NULL,
    PRIMARY KEY (tenant_id, alarm_id, id),
    FOREIGN KEY (tenant_id, alarm_id) REFERENCES iot.alarm ON DELETE CASCADE
);

CREATE INDEX alarm_comment_by_user ON iot.alarm_comment (user_id)
    WHERE user_id IS NOT NULL;


-- How many alarms a tenant has had in a month (its first day, UTC).

CREATE TABLE iot.alarm_usage (
    tenant_id  uuid NOT NULL REFERENCES iot.tenant ON DELETE CASCADE,
    month      date NOT NULL,
    created    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, month)
);


ALTER TABLE iot.alarm ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.alarm_entity ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.alarm_comment ENABLE ROW LEVEL SECURITY;
ALTER TABLE iot.alarm_usage ENABLE ROW LEVEL SECURITY;

CREATE POLICY alarm_own ON iot.alarm
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY alarm_entity_own ON iot.alarm_entity
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY alarm_comment_own ON iot.alarm_comment
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

CREATE POLICY alarm_usage_own ON iot.alarm_usage
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

GRANT SELECT, INSERT, UPDATE, DELETE
    ON iot.alarm, iot.alarm_entity, iot.alarm_comment TO iot_app;
GRANT SELECT, INSERT, UPDATE ON iot.alarm_usage TO iot_app;
