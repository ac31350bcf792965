-- Why: what the recorder does in one step each: taking a partition, blanking deleted content, ending requests past their deadline, noticing a
-- lost log.  As functions, so that the rules stand beside the tables; they run with the recorder's own rights.
set role airlock_owner;

-- Blanks all content of those of `ids` that were deleted; ids, hashes and verdicts stay.
create function airlock.blank_deleted(ids uuid[]) returns void
	language sql volatile
	set search_path = pg_catalog, pg_temp
as $$
	update airlock.requests t set message = '' from airlock.deleted d where d.id = any (ids) and t.id = d.id and t.day = d.day and t.message <> '';
	update airlock.results t set message = '' from airlock.deleted d where d.id = any (ids) and t.id = d.id and t.day = d.day and t.message <> '';
	update airlock.results_late t set message = '' from airlock.deleted d where d.id = any (ids) and t.id = d.id and t.message <> '';
	update airlock.held t set message = '' from airlock.deleted d where d.id = any (ids) and t.id = d.id and t.message <> '';
	update airlock.dead_letters t set bytes = '' from airlock.deleted d where d.id = any (ids) and t.request_id = d.id and t.bytes <> '';
$$;

-- Ends undecided requests whose deadline lies at or before `upto`, and holds nobody decided in time.  Call it only with an `upto` before which
-- everything of requests, results and dead is recorded.  At most `most` of each; returns their ids.
create function airlock.expire(upto timestamptz, most int) returns setof uuid
	language plpgsql volatile
	set search_path = pg_catalog, pg_temp
as $$
declare
	mark timestamptz;
	seen int;
	reached timestamptz;
begin
	select at into mark from airlock.marks where name = 'expired' for update;
	create temporary table if not exists airlock_expiring (id uuid, day date, at timestamptz, code text) on commit delete rows;
	truncate pg_temp.airlock_expiring;
	insert into pg_temp.airlock_expiring
		select r.id, r.day, r.deadline_at, 'deadline' from airlock.requests r
		where r.deadline_at > mark and r.deadline_at <= upto
			and not exists (select from airlock.results x where x.id = r.id and x.day = r.day)
			and not exists (select from airlock.held h where h.id = r.id)
		order by r.deadline_at limit most;
	get diagnostics seen = row_count;
	reached := upto;
	if seen = most then -- there may be more at that very instant: stay just before it
		select max(at) - interval '1 microsecond' into reached from pg_temp.airlock_expiring;
	end if;
	update airlock.marks set at = greatest(at, reached) where name = 'expired';
	update airlock.held h set closed_at = now()
		where h.closed_at is null and exists (select from airlock.results x where x.id = h.id and x.day = h.day);
	insert into pg_temp.airlock_expiring
		select h.id, h.day, h.until, h.code from (
			select distinct on (h.id) h.id, h.day, coalesce(p.deadline_at, h.expires_at) as until,
				case when p.id is null then 'hold_expired' else 'deadline' end as code
			from airlock.held h left join airlock.decisions p on p.id = h.id and p.gate = h.gate and p.attempt = h.attempt
			where h.closed_at is null order by h.id, h.held_at desc
		) h where h.until <= upto limit most;
	return query
	with ended as (
		insert into airlock.results (id, day, tenant, key, lane, api, custom_id, "group", sample, status, code, message_text, ended_by, attempt,
			input_tokens, output_tokens, cost_micro_usd, created_at, finished_at, latency_ms, message_sha256, message)
		select r.id, r.day, r.tenant, r.key, r.lane, r.api, r.custom_id, r."group", r.sample, 'expired', e.code,
			'The request was not finished before its deadline.', 'record', 1, 0, 0, 0, r.created_at, e.at,
			(extract(epoch from e.at - r.created_at) * 1000)::bigint, sha256(''), ''
		from pg_temp.airlock_expiring e join airlock.requests r on r.id = e.id and r.day = e.day
		on conflict do nothing
		returning results.id, results.tenant
	), booked as (
		insert into airlock.ledger as l (tenant, day, results, refused, input_tokens, output_tokens, cost_micro_usd)
		select tenant, (now() at time zone 'UTC')::date, count(*), 0, 0, 0, 0 from ended group by tenant order by tenant
		on conflict (tenant, day) do update set results = l.results + excluded.results
	)
	select ended.id from ended;
end
$$;

-- A topic has this id now.  Returns true if it had another one before: its log is lost, and a row in lost_logs says so.
create function airlock.topic_seen(name text, id bytea, count int) returns boolean
	language plpgsql volatile
	set search_path = pg_catalog, pg_temp
as $$
declare
	old bytea;
begin
	insert into airlock.topics (topic, topic_id, partitions) values (name, id, count) on conflict do nothing;
	select topic_id into old from airlock.topics where topic = name for update;
	update airlock.topics set topic_id = id, partitions = count, seen_at = now() where topic = name;
	if old = id then
		return false;
	end if;
	insert into airlock.lost_logs (topic, topic_id, new_topic_id) values (name, old, id) on conflict do nothing;
	insert into airlock.alerts (at, by_program, severity, code, text, subject)
	values (now(), 'record', 'critical', 'log_lost', 'The log of this topic is gone; its undecided requests stand in airlock.requests and end at their deadline.', name);
	return true;
end
$$;

revoke all on function airlock.blank_deleted(uuid[]), airlock.expire(timestamptz, int), airlock.topic_seen(text, bytea, int) from public;
grant execute on function airlock.blank_deleted(uuid[]), airlock.expire(timestamptz, int), airlock.topic_seen(text, bytea, int) to airlock_record;
reset role;
