
--
-- Copyright (C) the ngx_iot authors
--
-- A tenant is deleted in slices, see iot.tenant_sweep().  Until the last one
-- its row stays, with the time at which it went and the step that is reached;
-- the workers do not see it any more.


ALTER TABLE iot.tenant
    ADD COLUMN gone_time bigint,
    ADD COLUMN gone_step integer NOT NULL DEFAULT 0;

CREATE INDEX tenant_gone ON iot.tenant (gone_time)
    WHERE gone_time IS NOT NULL;

DROP POLICY tenant_own ON iot.tenant;

CREATE POLICY tenant_own ON iot.tenant
    USING (gone_time IS NULL
           AND (id = (SELECT iot.tenant()) OR (SELECT iot.is_system())));
