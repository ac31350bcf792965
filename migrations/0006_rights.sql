-- Why: one place that says who may do what.  RECORD alone writes what decides a request, and of a recorded row it may change nothing but
-- blank its content; the gateway reads content only through `released` and, for a person's decision, `held`; analysts read none.
set role airlock_owner;
grant usage on schema airlock to airlock_record, airlock_gateway, airlock_analyst;

grant select, insert on airlock.requests, airlock.results, airlock.results_late, airlock.held, airlock.dead_letters, airlock.alerts,
	airlock.deleted to airlock_record;
grant update (message) on airlock.requests, airlock.results, airlock.results_late to airlock_record;
grant update (message, closed_at) on airlock.held to airlock_record;
grant update (bytes) on airlock.dead_letters to airlock_record;
grant select, insert, update on airlock.offsets, airlock.topics, airlock.lost_logs, airlock.marks, airlock.ledger to airlock_record;
grant select on airlock.redrive, airlock.decisions to airlock_record;
grant update (done_at, outcome) on airlock.redrive to airlock_record;
grant execute on function airlock.partitions_make(int) to airlock_record;
grant select on airlock.caught_up, airlock.status to airlock_record;

grant select on airlock.status, airlock.verdicts, airlock.runs, airlock.calls, airlock.released, airlock.caught_up, airlock.held, airlock.alerts,
	airlock.ledger, airlock.redrive, airlock.deleted to airlock_gateway;
grant select (topic, partition, "offset", sha256, at, key, request_id, code, why, by_program, genuine, ended, recorded_at)
	on airlock.dead_letters to airlock_gateway, airlock_analyst;
grant select, insert, update, delete on airlock.tenants, airlock.keys, airlock.idempotency, airlock.leases, airlock.labels to airlock_gateway;
grant select, insert on airlock.policies, airlock.decisions to airlock_gateway;
grant execute on function airlock.history(uuid), airlock.redrive_wanted(uuid[], text) to airlock_gateway;

grant select on airlock.status, airlock.verdicts, airlock.runs, airlock.calls, airlock.caught_up, airlock.alerts, airlock.ledger, airlock.labels
	to airlock_analyst;
reset role;
